"""What `srblocks-upscale` does: all jobs, one after the other, with progress and a report."""

import argparse
import contextlib
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from .._utils.arguments import parse_argument
from .._utils.console import standard_output
from .._utils.files import remove_leftovers, temporary_name
from ..networks import network_spec
from .batch import Outcome, run_job
from .errors import UpscaleError
from .images import read_image
from .open_model import open_upscaler
from .paths import Job, plan_jobs
from .upscaler import Upscaler


def run(args: argparse.Namespace) -> int:
    """Do what the arguments say; give the exit code.

    Raises:
        UpscaleError: nothing can be done, or nothing more.
    """
    jobs = plan_jobs(args.inputs, args.out, suffix=f".{args.format}" if args.format else None)
    existing = [job.target for job in jobs if job.has_target()]
    if existing and not (args.force or args.resume):
        what = "exists" if len(existing) == 1 else f"and {len(existing) - 1} more outputs exist"
        raise UpscaleError(3, f"{existing[0]} {what}; use --resume to go on, --force to overwrite, or another -o")
    upscaler = open_upscaler(
        args.model,
        scale=args.scale,
        device=args.device,
        network=args.network,
        arguments=_arguments(args.arg, args.network),
    )
    upscaler.check_tile(args.tile)
    _check_writable(jobs[0].target.parent)
    for folder in {job.target.parent for job in jobs}:
        remove_leftovers(folder)
    outcomes: list[Outcome] = []
    approximation = None
    start = time.perf_counter()
    try:
        for outcome in _outcomes(upscaler, jobs, args):
            outcomes.append(outcome)
            if outcome.is_approximate and approximation is None and (args.json or not args.quiet):
                approximation = _approximation(upscaler, outcome.job.source, args.tile)
    finally:
        seconds = time.perf_counter() - start
        _report(upscaler, outcomes, args, total=len(jobs), seconds=seconds, approximation=approximation)
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    return 9 if failed == len(jobs) else 10 if failed else 0


def _arguments(pairs: Sequence[str], network: str | None) -> dict[str, object]:
    try:
        spec = network_spec(network) if network else None
        return dict(parse_argument(pair, spec) for pair in pairs)
    except ValueError as error:
        raise UpscaleError(2, str(error)) from error


def _check_writable(folder: Path) -> None:
    probe = temporary_name(folder / "probe")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UpscaleError(3, f"{folder} cannot be written ({error.strerror}); choose another -o") from error


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Show how many images are done per second."""
        speed = task.finished_speed or task.speed
        return Text("- images/s" if speed is None else f"{speed:.2f} images/s")


def _outcomes(upscaler: Upscaler, jobs: Sequence[Job], args: argparse.Namespace) -> Iterator[Outcome]:
    """Do the jobs one after the other, with a progress bar, and say on standard error what was not as it should be."""
    pending: list[Job] = []
    for job in jobs:
        if args.resume and job.is_finished():
            yield Outcome(job, "skipped")
        else:
            pending.append(job)
    console = Console(stderr=True)
    columns = [TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), _Rate()]
    hidden = args.quiet or not sys.stderr.isatty()
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=hidden) as progress:
        bar = progress.add_task("", total=len(pending))
        for done, job in enumerate(pending):
            progress.update(bar, description=_shown(job.source.name))

            def show(share: float, done: int = done) -> None:
                progress.update(bar, completed=done + share)

            outcome = run_job(upscaler, job, tile=args.tile, quality=args.quality, progress=show)
            progress.update(bar, completed=done + 1)
            notes = [outcome.reason] if outcome.reason else [] if args.quiet else outcome.remarks
            for note in notes:
                with contextlib.suppress(OSError):  # nobody reads it, and the work goes on
                    console.out(f"srblocks-upscale: {_shown(str(job.source))}: {note}", highlight=False)
            yield outcome


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def _approximation(upscaler: Upscaler, source: Path, tile: int | None) -> dict[str, Any] | None:
    """Measure on a picture what tiles change; None where that cannot be."""
    try:
        pixels = read_image(source).pixels
        found = upscaler.tiling_error(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), tile=tile)
    except Exception:  # it is not there any more, or memory is short: the pictures do not depend on it
        return None
    if found is None:
        return None
    psnr = found.psnr if math.isfinite(found.psnr) else None  # JSON has no infinity
    return {"source": str(source)} | found._asdict() | {"psnr": psnr}


def _report(
    upscaler: Upscaler,
    outcomes: Sequence[Outcome],
    args: argparse.Namespace,
    *,
    total: int,
    seconds: float,
    approximation: dict[str, Any] | None,
) -> None:
    counts = {status: sum(each.status == status for each in outcomes) for status in ("done", "skipped", "failed")}
    with standard_output():
        if args.json:
            facts: dict[str, Any] = {
                "model": upscaler.name,
                "scale": upscaler.scale,
                "seconds": round(seconds, 3),
                "files": total,
            }
            facts |= {"approximation": approximation}
            print(json.dumps(facts | counts | {"outcomes": [_entry(outcome) for outcome in outcomes]}, indent=2))
        elif not args.quiet:
            rest = "".join(f", {counts[status]} {status}" for status in ("skipped", "failed") if counts[status])
            pace = f", {counts['done'] / seconds:.2f} images/s" if counts["done"] else ""
            print(f"{counts['done']} of {total} enlarged x{upscaler.scale} by {upscaler.name}{pace}{rest}")
            if approximation:
                part = f"{approximation['width']}x{approximation['height']} pixels of {_shown(approximation['source'])}"
                error = f"at most {100 * approximation['largest']:.2g} % of white"
                error = f"{approximation['psnr']:.1f} dB (PSNR), {error}" if approximation["psnr"] else "nothing"
                print(f"approximate: {part} in tiles of {approximation['tile']} differ from the whole by {error}")


def _entry(outcome: Outcome) -> dict[str, object]:
    return {
        "source": str(outcome.job.source),
        "target": str(outcome.job.target),
        "status": outcome.status,
        "size": outcome.size,
        "seconds": None if outcome.seconds is None else round(outcome.seconds, 3),
        "approximate": outcome.is_approximate,
        "remarks": outcome.remarks,
        "reason": outcome.reason,
    }

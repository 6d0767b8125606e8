"""``srblocks-upscale``: upscale images with a network or an exported artifact.

Options are parsed and paths are checked before torch is imported.
"""

import contextlib
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from .._utils.cli import UsageError, build_app, declared, run_command
from .._utils.console import one_line, standard_output
from .._utils.files import prepare_folder
from .errors import UpscaleError
from .formats import FORMATS
from .options import Options
from .paths import Job, plan_jobs

if TYPE_CHECKING:
    from .batch import Outcome
    from .upscaler import Upscaler

EPILOG = """\
INPUT is a PNG, JPEG, WebP, TIFF or BMP file with 8 or 16 bits, or a folder, which is searched for images; hidden files
and links to folders are skipped. OUT is a folder, which keeps the structure of input folders, or a file name such as
big.png for a single input.

Bit depth, transparency, EXIF, XMP, color profile and resolution are kept. JPEG is written with quality 95 and 4:4:4,
WebP lossless if the input was lossless. Existing files are only overwritten with --force or --resume, inputs never. An
interrupted run leaves no partial file; --resume continues it: it skips outputs that are not older than their inputs,
however they were made, and writes older ones again.

exit codes: 0 ok, 1 internal error, 2 usage, unknown network or wrong scale, 3 an output exists or cannot be written, 4
a library or device is missing, 8 the artifact does not fit this host, 9 bad input: the model, or every image, 10 some
images failed, 130 interrupted.
"""

APP = build_app(
    "srblocks-upscale",
    declared(Options, positional="inputs"),
    summary="Upscale images with a network or an exported artifact.",
    usage="INPUT... -o OUT [OPTIONS]",
    epilogue=EPILOG,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run_command(APP, _run, arguments, interrupted="interrupted; use --resume to continue")


def _run(values: dict[str, Any]) -> int:
    """Upscale all files and return the exit code."""
    options = Options(**values)
    if options.resume and options.force:
        raise UsageError("--resume and --force exclude each other", "remove one")
    suffix, overwrite = f".{options.format}" if options.format else None, options.force or options.resume
    jobs = plan_jobs(options.inputs, options.out, suffix=suffix, overwrite=overwrite)
    formats = {FORMATS.get(job.target.suffix.lower(), "JPEG") for job in jobs}
    if options.quality is not None and not formats & {"JPEG", "WEBP"}:
        names = " and ".join(sorted(formats))
        raise UsageError(f"--quality has no effect on {names}", "remove it, or use --format jpg")

    from . import images as _  # noqa: F401, PLC0415 (fails early without Pillow)
    from .open_model import ModelSource, open_upscaler  # noqa: PLC0415 (it imports torch)

    source = ModelSource(
        options.model,
        scale=options.scale,
        network=options.network,
        arguments=options.arguments,
        device=options.device,
        color="rgb",
        imports=options.imports,
    )
    upscaler = open_upscaler(source)
    upscaler.check_tile(options.tile)
    try:
        prepare_folder(jobs[0].target.parent, *{job.target.parent for job in jobs})
    except OSError as error:
        cause = f"{jobs[0].target.parent} cannot be written ({error.strerror})"
        raise UpscaleError(cause, "choose another -o", exit_code=3) from error
    outcomes: list[Outcome] = []
    approximation = None
    start = time.perf_counter()
    try:
        for outcome in _outcomes(upscaler, jobs, options):
            outcomes.append(outcome)
            if outcome.approximate and approximation is None and (options.as_json or not options.quiet):
                approximation = _measure_approximation(upscaler, outcome.job.source, options.tile)
    finally:
        report = _report(upscaler, outcomes, len(jobs), time.perf_counter() - start, approximation)
        _show(report, options)
    failed = report["failed"]
    return 9 if failed == len(jobs) else 10 if failed else 0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Show the speed in megapixels of input per second."""
        speed = task.finished_speed or task.speed
        return Text("- MP/s" if speed is None else f"{speed:.2f} MP/s")


def _outcomes(upscaler: "Upscaler", jobs: Sequence[Job], options: Options) -> "Iterator[Outcome]":
    """Run the jobs with a progress bar; print failures and warnings on standard error."""
    from .batch import Outcome, run_job  # noqa: PLC0415 (it imports torch)
    from .images import image_size  # noqa: PLC0415 (Pillow is optional)

    pending: list[Job] = []
    for job in jobs:
        if options.resume and job.is_finished():
            yield Outcome(job, "skipped")
        else:
            pending.append(job)
    console = Console(stderr=True)
    hidden = options.quiet or not sys.stderr.isatty()
    sizes = [0.0 if hidden else math.prod(image_size(job.source) or (0, 0)) / 1e6 for job in pending]
    columns = [TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), _Rate()]
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=hidden) as progress:
        bar = progress.add_task("", total=sum(sizes))
        done = 0.0
        for number, (job, size) in enumerate(zip(pending, sizes, strict=True), 1):
            progress.update(bar, description=f"{number}/{len(pending)} {_printable(job.source.name)}")

            def show(fraction: float, done: float = done, size: float = size) -> None:
                progress.update(bar, completed=done + fraction * size)

            outcome = run_job(upscaler, job, tile=options.tile, quality=options.quality, progress=show)
            done += size
            progress.update(bar, completed=done)
            notes = [outcome.reason] if outcome.reason else [] if options.quiet else outcome.warnings
            for note in notes:
                line = f"srblocks-upscale: {_printable(str(job.source))}: {one_line(note)}"
                with contextlib.suppress(OSError):  # nobody reads standard error
                    console.out(line, highlight=False)
            yield outcome


def _printable(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def _measure_approximation(upscaler: "Upscaler", source: Path, tile: int | None) -> dict[str, Any] | None:
    """Measure the error of tiles on an image; None if that is impossible."""
    import numpy as np  # noqa: PLC0415 (slow to import)

    from .images import read_image  # noqa: PLC0415 (Pillow is optional)

    try:
        pixels = read_image(source).pixels
        found = upscaler.tiling_error(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), tile=tile)
    except Exception:  # the file is gone, or memory is short; the outputs do not depend on it
        return None
    if found is None:
        return None
    psnr = found.psnr if math.isfinite(found.psnr) else None  # JSON has no infinity
    return {"source": str(source)} | found._asdict() | {"psnr": psnr}


def _report(
    upscaler: "Upscaler",
    outcomes: "Sequence[Outcome]",
    total: int,
    seconds: float,
    approximation: dict[str, Any] | None,
) -> dict[str, Any]:
    counts = Counter(outcome.status for outcome in outcomes)
    return {
        "model": upscaler.name,
        "scale": upscaler.scale,
        "seconds": round(seconds, 3),
        "files": total,
        "approximation": approximation,
        **{status: counts[status] for status in ("done", "skipped", "failed")},
        "outcomes": [_entry(outcome) for outcome in outcomes],
    }


def _entry(outcome: "Outcome") -> dict[str, object]:
    return {
        "source": str(outcome.job.source),
        "target": str(outcome.job.target),
        "status": outcome.status,
        "size": outcome.size,
        "seconds": None if outcome.seconds is None else round(outcome.seconds, 3),
        "approximate": outcome.approximate,
        "warnings": outcome.warnings,
        "reason": outcome.reason,
    }


def _show(report: dict[str, Any], options: Options) -> None:
    """Print the report as JSON or as a summary."""
    with standard_output():
        if options.as_json:
            print(json.dumps(report, indent=2))
        elif not options.quiet:
            rest = "".join(f", {report[status]} {status}" for status in ("skipped", "failed") if report[status])
            what = f"{report['done']} of {report['files']} upscaled x{report['scale']}"
            print(f"{what} by {report['model']} in {report['seconds']:.1f} s{rest}")
            if crop := report["approximation"]:
                where = f"{crop['width']}x{crop['height']} pixels of {_printable(crop['source'])}"
                psnr = "infinite PSNR" if crop["psnr"] is None else f"PSNR {crop['psnr']:.1f} dB"
                error = f"{psnr}, largest error {100 * crop['largest']:.2g} % of white"
                print(f"approximate: tiles of {crop['tile']} against the entire image: {error} ({where})")

"""The work of ``srblocks-evaluate``: the scores of all images, with a progress bar and a report."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from .._utils.console import echo_error, standard_output
from ..inference.artifacts import from_artifact
from ..inference.errors import UpscaleError
from ..inference.open_model import ModelSource, open_upscaler
from ..inference.upscaler import Upscaler
from .options import Options
from .scoring import Score, evaluate, image_files, means, protocol


def run(options: Options) -> int:
    """Evaluate the model and return the exit code.

    Raises:
        SRBlocksError: the model cannot be opened, no image can be evaluated, or the output cannot be written.
    """
    files = image_files(options.data)
    upscaler = _open(options)
    failures: dict[Path, str] = {}
    progress = Console(stderr=True, quiet=options.quiet or not sys.stderr.isatty())
    scores = list(track(evaluate(upscaler, files, failures), "images", total=len(files), console=progress))
    for path, reason in failures.items():
        echo_error(f"srblocks-evaluate: {path}: {reason}")
    if not scores:
        raise UpscaleError(f"none of {len(files)} images in {options.data} could be evaluated", exit_code=9)
    with standard_output():
        _report(upscaler, scores, failures, as_json=options.as_json)
    return 10 if failures else 0


def _open(options: Options) -> Upscaler:
    if options.artifact:
        upscaler = from_artifact(options.artifact)
        if options.scale not in (None, upscaler.scale):
            cause = f"{options.artifact} has scale {upscaler.scale}, not {options.scale}"
            raise UpscaleError(cause, "remove --scale")
        return upscaler
    source = ModelSource(
        options.network,
        weights=options.weights,
        scale=options.scale,
        arguments=options.arguments,
        optimize=False,
        device=options.device,
        imports=options.imports,
    )
    return open_upscaler(source)


def _report(upscaler: Upscaler, scores: Sequence[Score], failures: Mapping[Path, str], *, as_json: bool) -> None:
    mean = means(scores)
    sentence = protocol(upscaler.color, upscaler.scale)
    if as_json:
        images = [_finite(score) for score in scores]
        facts = {"name": upscaler.name, "scale": upscaler.scale, "color": upscaler.color, "protocol": sentence}
        failed = {str(path): reason for path, reason in failures.items()}
        print(json.dumps(facts | {"images": images, "mean": _finite(mean), "failed": failed}, indent=2))
        return
    table = Table("image", box=None, pad_edge=False)
    table.add_column("PSNR (dB)", justify="right")
    table.add_column("SSIM", justify="right")
    for score in [*scores, mean]:
        similarity = "-" if score.ssim is None else f"{score.ssim:.4f}"
        name = score.image if score.image.isprintable() else ascii(score.image)
        table.add_row(escape(name), f"{score.psnr:.3f}", similarity, style="bold" if score is mean else None)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{escape(upscaler.name)} x{upscaler.scale}", style="bold")
    console.print(table)
    console.print(f"protocol: {sentence}")


def _finite(score: Score) -> dict[str, Any]:
    """Return a score for JSON, which has no infinity."""
    return asdict(score) | {"psnr": score.psnr if math.isfinite(score.psnr) else None}

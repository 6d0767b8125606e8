"""``srblocks-upscale``: upscale images with a network or an exported artifact. Options are parsed without torch."""

from collections.abc import Sequence
from typing import Any

from .._utils.cli import UsageError, build_app, declared, run_command
from .errors import UpscaleError
from .formats import FORMATS
from .options import Options
from .paths import plan_jobs

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
    options = Options(**values)
    if options.resume and options.force:
        raise UsageError("--resume and --force exclude each other", "remove one")
    jobs = plan_jobs(options.inputs, options.out, suffix=f".{options.format}" if options.format else None)
    formats = {FORMATS.get(job.target.suffix.lower(), "JPEG") for job in jobs}
    if options.quality is not None and not formats & {"JPEG", "WEBP"}:
        raise UsageError(
            f"--quality has no effect on {' and '.join(sorted(formats))}", "remove it, or use --format jpg"
        )
    existing = [job.target for job in jobs if job.has_target()]
    if existing and not (options.force or options.resume):
        others = f" and {len(existing) - 1} other outputs exist" if len(existing) > 1 else " exists"
        remedy = "use --resume to continue, --force to overwrite, or another -o"
        raise UpscaleError(f"{existing[0]}{others}", remedy, exit_code=3)

    from .run import run  # noqa: PLC0415 (it imports torch, and Pillow, which is optional)

    return run(options, jobs)

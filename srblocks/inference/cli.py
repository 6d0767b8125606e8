"""`srblocks-upscale`: pictures, enlarged by a network or an exported artifact."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from .._utils.console import Parser
from ..pretrained import DEFAULT_NETWORK
from .errors import exit_code_of

EPILOG = """\
INPUT is a PNG, JPEG, WebP, TIFF or BMP file of 8 or 16 bits, or a folder, which is searched for them; what is hidden is
left out, and links to folders are not followed. OUT is a folder, below which the trees of folders are kept, or for one
file a name such as big.png.

Depth, transparency, EXIF, XMP, color profile and resolution are kept. JPEG is written at quality 95 without
subsampling, WebP without losses where the input had none. Existing files are not overwritten without --force or
--resume, inputs never. An interrupted run leaves no half-written file; --resume goes on with it, skipping outputs that
are no older than their inputs, whatever they were made with, and writing older ones again.

exit codes: 0 ok, 1 internal error, 2 usage, unknown network or wrong scale, 3 an output exists or cannot be written, 4
a library or device is missing, 8 the artifact does not fit this host, 9 bad input: the model, or every picture, 10
some pictures could not be enlarged, the others were, 130 interrupted.
"""


def _tile(text: str) -> int | None:
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give auto, or pixels per side such as 256")
    return int(text)


def _quality(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError(f"{text!r} is not in 1..100")
    return int(text)


def build_parser() -> argparse.ArgumentParser:
    """Build the command line's parser."""
    parser = Parser(
        prog="srblocks-upscale",
        description="Enlarge pictures by a network or an exported artifact.",
        epilog=EPILOG,
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="files and folders")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT", help="folder, or name of the one output"
    )
    parser.add_argument(
        "--model",
        default=DEFAULT_NETWORK,
        metavar="ARTIFACT_OR_NAME",
        help=f"file of srblocks-export, file of weights, or name of bundled weights (default: {DEFAULT_NETWORK})",
    )
    parser.add_argument(
        "--scale", type=int, help="enlargement per side (default: the model's own; of bundled ones the smallest)"
    )
    parser.add_argument("--network", metavar="NAME", help="network of a weights file that does not show it")
    parser.add_argument(
        "--arg", action="append", default=[], metavar="KEY=VALUE", help="argument that the weights do not show"
    )
    parser.add_argument(
        "--tile", type=_tile, metavar="auto|N", help="side of what the network sees at once, in pixels (default: auto)"
    )
    parser.add_argument("--device", default="cpu", help="torch device of a network (default: cpu)")
    parser.add_argument("--format", choices=["png", "jpg", "webp", "tif"], help="of all outputs (default: the inputs')")
    parser.add_argument("--quality", type=_quality, metavar="1..100", help="of JPEG and WebP, which then has losses")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="skip outputs that are no older than their inputs")
    existing.add_argument("--force", action="store_true", help="overwrite outputs that exist")
    parser.add_argument("--json", action="store_true", help="what became of every file, as JSON on standard output")
    parser.add_argument("-q", "--quiet", action="store_true", help="errors alone: no progress bar, remarks or summary")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    args = build_parser().parse_args(arguments)

    def run() -> int:
        from .run import run  # noqa: PLC0415 (it needs Pillow, an optional extra)

        return run(args)

    return exit_code_of("srblocks-upscale", run, interrupted="interrupted; --resume goes on with it")

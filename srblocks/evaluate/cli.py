"""`srblocks-evaluate`: PSNR and SSIM of a network or an exported artifact on a folder of images."""

import argparse
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

from .._utils.arguments import parse_argument
from .._utils.console import Parser, echo_error, standard_output
from ..inference import UpscaleError, Upscaler, from_artifact, from_network
from ..inference.errors import exit_code_of
from ..inference.open_model import bundled_network, opening, weights_of
from ..networks import network_name, network_spec
from ..pretrained import DEFAULT_NETWORK
from .scoring import Score, evaluate, image_files, means, protocol

EPILOG = """\
exit codes: 0 ok, 1 internal error, 2 usage, unknown network or wrong scale, 3 the output cannot be written, 4 a library
or device is missing, 8 the artifact does not fit this host, 9 bad input file, 10 some images could not be evaluated,
130 interrupted.
"""


def build_parser() -> argparse.ArgumentParser:
    """Build the command line's parser."""
    parser = Parser(
        prog="srblocks-evaluate",
        description="PSNR and SSIM of a network or an exported artifact by the protocol of published tables.",
        epilog=EPILOG,
    )
    parser.add_argument("network", nargs="?", metavar="NETWORK", help="registry name; without it the weights tell")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights (default: bundled ones)")
    parser.add_argument("--artifact", type=Path, metavar="FILE", help="a file of srblocks-export, instead of a network")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of high-resolution images")
    parser.add_argument(
        "--scale",
        type=int,
        help="enlargement per side (default: the weights' or artifact's own; of bundled ones the smallest)",
    )
    parser.add_argument(
        "--arg", action="append", default=[], metavar="KEY=VALUE", help="argument that the weights do not show"
    )
    parser.add_argument("--device", default="cpu", help="torch device of a network (default: cpu)")
    parser.add_argument("--json", action="store_true", help="the figures as JSON on standard output")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return parser


def open_upscaler(args: argparse.Namespace) -> Upscaler:
    """Open what the arguments name.

    Raises:
        UpscaleError: it cannot be opened here.
    """
    if args.artifact:
        return _artifact(args)
    if args.arg and not args.weights:
        raise UpscaleError(2, "--arg without --weights; the bundled weights show their arguments")
    if args.weights:
        with opening(args.device):
            spec = network_spec(args.network) if args.network else None
            arguments = dict(parse_argument(pair, spec) for pair in args.arg)
            net = weights_of(args.weights, network=args.network, scale=args.scale, arguments=arguments)
        source = args.weights.name
    else:
        with opening(args.device):
            net = bundled_network(args.network or DEFAULT_NETWORK, scale=args.scale)
        source = "bundled weights"
    return from_network(net, f"{network_name(net)} ({source})", device=args.device)


def _artifact(args: argparse.Namespace) -> Upscaler:
    if args.network or args.weights or args.arg or args.device != "cpu":
        others = "NETWORK, --weights, --arg and --device"
        raise UpscaleError(2, f"--artifact brings its own network, weights and device; leave out {others}")
    upscaler = from_artifact(args.artifact)
    if args.scale not in (None, upscaler.scale):
        raise UpscaleError(2, f"{args.artifact} enlarges x{upscaler.scale}, not x{args.scale}; leave out --scale")
    return upscaler


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    args = build_parser().parse_args(arguments)
    return exit_code_of("srblocks-evaluate", lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    files = image_files(args.data)
    upscaler = open_upscaler(args)
    failures: dict[Path, str] = {}
    progress = Console(stderr=True, quiet=args.quiet or not sys.stderr.isatty())
    steps = evaluate(upscaler, files, failures)
    scores = list(track(steps, "images", total=len(files), console=progress))
    for path, reason in failures.items():
        echo_error(f"srblocks-evaluate: {path}: {reason}")
    if not scores:
        raise UpscaleError(9, f"none of {len(files)} images of {args.data} could be evaluated")
    with standard_output():
        _report(upscaler, scores, failures, as_json=args.json)
    return 10 if failures else 0


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
    """Write a score for JSON, which has no infinity: equal images have no decibels."""
    return asdict(score) | {"psnr": score.psnr if math.isfinite(score.psnr) else None}

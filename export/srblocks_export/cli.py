"""`srblocks-export`: from a network to verified artifacts. Parses before it imports torch."""

import argparse
import contextlib
import json
import logging
import math
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from .config import ExportConfig, ModelSource
from .console import echo_error, standard_output
from .errors import ExportError, unforeseen
from .formats import FORMATS, PRECISIONS
from .formats.tensorrt.trt_engine.options import add_build_options, build_options
from .shapes import parse_shape

EPILOG = """\
exit codes: 0 ok, 1 internal error, 2 usage, unknown network, wrong shape or scale, 3 output exists or cannot be
written, 4 backend or device missing, 5 graph not exportable, 6 verification failed, 7 build failed, 8 artifact does not
fit this host, 9 bad input file, 130 interrupted. --check-env, --dry-run: 0 or the code that doing it gives.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong as of every other wrong option."""
        raise ExportError(200, message, f"see {self.prog} --help")


def _seed(text: str) -> int:
    if not 0 <= (value := int(text)) < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is not in 0..2**63-1")
    return value


def _bound(text: str) -> float:
    if not 0 <= (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of 0 or more")
    return value


def build_parser() -> argparse.ArgumentParser:
    """Build the command line's parser."""
    parser = _Parser(
        prog="srblocks-export",
        description="Export a super-resolution network and verify every artifact in a fresh process.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="network name, or a weights file whose network is recognized; without it the bundled FSRCNN",
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("exported"), metavar="DIR", help="output folder (default: exported)"
    )
    parser.add_argument("--name", help="stem of the files (default: network, scale, precision and shape)")
    network = parser.add_argument_group("network")
    network.add_argument(
        "--scale", type=int, help="enlargement per side (default: that of the weights, or the smallest declared)"
    )
    network.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="weights, also of the authors' and other layouts: safetensors, a torch file of a state dict, or .mat",
    )
    network.add_argument(
        "--color",
        choices=["rgb", "y"],
        help="images of the artifact: rgb puts the conversions around a network on luma (default: the network's own)",
    )
    network.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="constructor argument of the network, repeatable",
    )
    network.add_argument(
        "--no-optimize",
        dest="optimize",
        action="store_false",
        help="export the network as it is, without the exact rewrites that make it cheaper (srblocks.optimize)",
    )
    network.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="REWRITE",
        help="optimize without this rewrite, such as transposed_convolution, repeatable",
    )
    formats = parser.add_argument_group("formats (default: --onnx)")
    for row in FORMATS.values():
        formats.add_argument(f"--{row.name}", dest="formats", action="append_const", const=row.name, help=row.summary)
    formats.add_argument("--all", dest="all_formats", action="store_true", help="every format that can be built here")
    sizes = parser.add_argument_group("sizes (default: batch, height and width are dynamic)")
    sizes.add_argument("--shape", metavar="NxCxHxW", help="one fixed input shape")
    sizes.add_argument("--min", dest="minimum", metavar="NxCxHxW", help="smallest dynamic shape")
    sizes.add_argument(
        "--opt", dest="optimum", metavar="NxCxHxW", help="shape that TensorRT engines are quickest at (up to 270x480)"
    )
    sizes.add_argument(
        "--max", dest="maximum", metavar="NxCxHxW", help="largest dynamic shape (default: none, TensorRT 1xCx540x960)"
    )
    sizes.add_argument("--opset", type=int, default=18, help="ONNX operator set (default: 18)")
    engines = parser.add_argument_group("machines that --aoti, --trt and --torch-trt are made for")
    engines.add_argument(
        "--device", choices=["cpu", "cuda"], default="cpu", help="where --aoti is to run (default: cpu)"
    )
    add_build_options(engines)
    precision = parser.add_argument_group("precision (images are float32 in any)")
    precision.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="what the network computes in: fp16 for GPUs, bf16 for CPUs that have it, not with --onnx (default: fp32)",
    )
    precision.add_argument(
        "--fp32-modules",
        action="append",
        default=[],
        metavar="REGEX",
        help=r"keep the modules whose whole path fits in float32, such as 'tail' or 'body\.12', repeatable",
    )
    precision.add_argument(
        "--calibrate",
        type=Path,
        metavar="DIR",
        help="low-resolution images that show whether the values fit (default: the verification's inputs)",
    )
    verify = parser.add_argument_group("verification")
    verify.add_argument(
        "--verify",
        choices=["sizes", "one", "off"],
        default="sizes",
        help="compare at several sizes (default), at one, or not",
    )
    verify.add_argument(
        "--tolerance",
        type=_bound,
        help="largest error relative to the output's standard deviation (default: 1e-4, fp16 3e-2, bf16 0.25)",
    )
    verify.add_argument(
        "--min-psnr",
        type=_bound,
        metavar="DB",
        help="smallest PSNR against the network in fp32 (default: none, fp16 55, bf16 40)",
    )
    verify.add_argument("--seed", type=_seed, default=0, help="seed of fresh weights and of the verification inputs")
    run = parser.add_argument_group("run")
    run.add_argument("--force", action="store_true", help="overwrite existing outputs")
    run.add_argument("--dry-run", action="store_true", help="say what would be written, and stop")
    run.add_argument("--check-env", action="store_true", help="say what can be built here, and stop")
    run.add_argument(
        "--json",
        action="store_true",
        help="a machine-readable summary on standard output, everything else on standard error",
    )
    run.add_argument("-v", "--verbose", action="store_true", help="tracebacks of internal errors")
    run.add_argument("-q", "--quiet", action="store_true", help="no progress and no table")
    run.add_argument("--version", action="version", version=f"%(prog)s {metadata.version('srblocks')}")
    run.add_argument("--list", action="store_true", help="list the networks, and stop")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(build_parser().parse_args(arguments))
    except KeyboardInterrupt:
        echo_error("interrupted; finished artifacts were kept, others not begun")
        return 130
    except Exception as failure:
        error = failure if isinstance(failure, ExportError) else unforeseen(failure)
        echo_error(error)
        if as_json:
            with contextlib.suppress(ExportError), standard_output():
                print(json.dumps({"exit_code": error.exit_code, "error": str(error)}))
        return error.exit_code


def _run(args: argparse.Namespace) -> int:
    if args.verbose:
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("srblocks_export").setLevel(logging.DEBUG)
    request = None if args.check_env or args.list else _request(args)
    from srblocks._utils.console import session

    with session():
        if args.check_env:
            from .environment import check_environment

            return check_environment(tuple(dict.fromkeys(args.formats or ())), as_json=args.json)
        from .command import dry_run, export, list_networks

        if request is None:
            return list_networks(as_json=args.json)
        source = ModelSource(
            model=args.model,
            scale=args.scale,
            weights=args.weights,
            color=args.color,
            arguments=args.arg,
            seed=args.seed,
        )
        if args.dry_run:
            return dry_run(source, request, as_json=args.json)
        return export(source, request, as_json=args.json, quiet=args.quiet)


def _request(args: argparse.Namespace) -> ExportConfig:
    request = ExportConfig(
        formats=_formats(args),
        out=args.out,
        shape=parse_shape(args.shape) if args.shape is not None else None,
        minimum=parse_shape(args.minimum) if args.minimum is not None else None,
        optimum=parse_shape(args.optimum) if args.optimum is not None else None,
        maximum=parse_shape(args.maximum) if args.maximum is not None else None,
        optimize=args.optimize,
        without=tuple(args.without),
        precision=args.precision,
        fp32_modules=tuple(args.fp32_modules),
        calibrate=args.calibrate,
        opset=args.opset,
        device=args.device,
        engine=build_options(args),
        verify=args.verify,
        tolerance=args.tolerance,
        min_psnr=args.min_psnr,
        seed=args.seed,
        force=args.force,
        name=args.name,
    )
    if request.shape and (request.minimum or request.optimum or request.maximum):
        cause = "--shape fixes what --min, --opt and --max leave open"
        raise ExportError(203, cause, "give either --shape or --min/--opt/--max")
    return request


def _formats(args: argparse.Namespace) -> tuple[str, ...]:
    if args.all_formats:
        able = {name: row for name, row in FORMATS.items() if args.precision in row.precisions}
        return tuple(name for name, row in able.items() if not row.missing(device=args.device))
    return tuple(dict.fromkeys(args.formats or ["onnx"]))


if __name__ == "__main__":
    sys.exit(main())

"""The options of a build on a command line."""

from __future__ import annotations

import argparse
import re
from typing import Any

from .build import HARDWARE, BuildOptions

_UNITS = {"": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def add_build_options(parser: Any) -> None:
    """Add the options of `BuildOptions` to a command line."""
    parser.add_argument("--workspace", type=_size, metavar="SIZE", help="largest scratch memory, such as 2GiB")
    parser.add_argument("--opt-level", type=int, choices=range(6), help="0 (quick build) to 5 (quick engine)")
    parser.add_argument("--timing-cache", metavar="FILE", help="timings of earlier builds, read and written")
    parser.add_argument(
        "--hardware-compat",
        choices=HARDWARE,
        default="none",
        help="other GPUs that the engine is to run on: of the same compute capability, or Ampere and later",
    )
    parser.add_argument("--version-compatible", action="store_true", help="run with later TensorRT of the same major")
    parser.add_argument("--tf32", action="store_true", help="let float32 layers compute in TF32")


def build_options(args: argparse.Namespace) -> BuildOptions:
    """Give what `add_build_options` read."""
    return BuildOptions(
        workspace=args.workspace,
        optimization_level=args.opt_level,
        timing_cache=args.timing_cache,
        hardware=args.hardware_compat,
        version_compatible=args.version_compatible,
        tf32=args.tf32,
    )


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 2GiB or 512MiB")
    return int(found[1]) * _UNITS[found[2]]

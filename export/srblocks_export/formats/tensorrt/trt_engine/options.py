"""Options of an engine build. Their metadata declare the command-line flags, here and of srblocks-export."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field, fields
from typing import Any, Callable

Shape = tuple[int, ...]

_UNITS = {"": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def parse_size(text: str) -> int:
    """Parse a size in bytes, such as "2GiB", "512MiB" or "2GB".

    Raises:
        ValueError: the text is not a size.
    """
    found = re.fullmatch(r"(\d{1,15})\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in _UNITS:
        raise ValueError(f"invalid size {text!r}, expected a size such as 2GiB, 2GB or 512MiB")
    return int(found[1]) * _UNITS[found[2]]


def parse_shape(text: str) -> Shape:
    """Parse a shape such as "1x3x64x64" or "1,3,64,64".

    Raises:
        ValueError: the text is not an NCHW shape of positive integers.
    """
    parts = [part.strip() for part in text.lower().replace(",", "x").split("x")]
    sizes = tuple(int(part) if part.isascii() and part.isdigit() and len(part) < 11 else 0 for part in parts)
    if len(sizes) != 4 or not all(0 < size < 2**31 for size in sizes):
        raise ValueError(f"invalid shape {text!r}, expected a shape such as 1x3x64x64")
    return sizes


def parse_capabilities(text: str) -> tuple[str, ...]:
    """Parse compute capabilities such as "8.6,12.0"; "all" is an empty tuple.

    Raises:
        ValueError: the text is neither "all", "current" nor a list of capabilities.
    """
    names = tuple(name.strip() for name in text.lower().split(","))
    if names == ("all",):
        return ()
    if names != ("current",) and not all(re.fullmatch(r"\d{1,2}\.\d", name) for name in names):
        raise ValueError(f"invalid compute capability {text!r}, expected all, current, or a list such as 8.6,12.0")
    return names


def _option(default: Any, flag: str, text: str, **facts: Any) -> Any:
    return field(default=default, metadata={"flag": flag, "help": text, **facts})


@dataclass(frozen=True)
class BuildOptions:
    """Options for building a TensorRT engine.

    Attributes:
        workspace: maximum scratch memory in bytes; None for TensorRT's default.
        optimization_level: 0 (fastest build) to 5 (fastest engine); None for TensorRT's default.
        timing_cache: file with the timings of earlier builds, read and updated; None for no cache.
        hardware: further GPUs that the engine runs on, in addition to those like the one that it is built on: "none",
            "same-cc" (same compute capability) or "ampere+" (Ampere and later).
        version_compatible: also run with later TensorRT of the same major version.
        tf32: float32 layers may compute in TF32, with 10 bits of mantissa.
        compute_capabilities: compute capabilities to build for, where the library builds ahead of time; ("current",) is
            that of this machine's GPU, an empty tuple all that one engine can hold.
    """

    workspace: int | None = _option(
        None, "--workspace", "Maximum scratch memory, such as 2GiB.", type=parse_size, metavar="SIZE"
    )
    optimization_level: int | None = _option(
        None, "--opt-level", "0 (fastest build) to 5 (fastest engine).", type=int, choices=tuple(range(6))
    )
    timing_cache: str | None = _option(
        None, "--timing-cache", "Timings of earlier builds, read and updated.", metavar="FILE"
    )
    hardware: str = _option(
        "none",
        "--hardware-compat",
        "Further GPUs that the engine runs on: of the same compute capability, or Ampere and later.",
        choices=("none", "same-cc", "ampere+"),
    )
    version_compatible: bool = _option(
        False, "--version-compatible", "Also run with later TensorRT of the same major version."
    )
    tf32: bool = _option(False, "--tf32", "Let float32 layers compute in TF32.")
    compute_capabilities: tuple[str, ...] = _option(
        (),
        "--compute-capability",
        "GPUs that TensorRT for RTX builds for: a list such as 8.6,12.0, or current (default: all).",
        type=parse_capabilities,
        metavar="LIST",
    )

    def __post_init__(self) -> None:
        """Check the compute capabilities.

        Raises:
            ValueError: they are neither ("current",) nor a tuple of capabilities such as ("8.6", "12.0").
        """
        given = tuple(self.compute_capabilities)
        if given and parse_capabilities(",".join(given)) != given:
            raise ValueError(f"invalid compute capabilities {given}, expected ('current',) or such as ('8.6', '12.0')")


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each field of `BuildOptions`."""
    for each in fields(BuildOptions):
        facts = dict(each.metadata)
        flag, kind = facts.pop("flag"), facts.pop("type", str)
        if each.default is False:
            parser.add_argument(flag, dest=each.name, action="store_true", **facts)
        else:
            parser.add_argument(flag, dest=each.name, default=each.default, type=argument_type(kind), **facts)


def build_options(args: argparse.Namespace) -> BuildOptions:
    """Return the options parsed by `add_build_options`."""
    return BuildOptions(**{each.name: getattr(args, each.name) for each in fields(BuildOptions)})


def argument_type(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a parser for argparse that keeps the text of a ValueError."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert

"""Precision names, and module paths matched by regular expressions."""

import copy
import difflib
import re
from collections.abc import Collection, Iterator

import torch

from ..errors import ArgumentError
from ..network import Network

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""Name of each precision -> dtype of weights and activations."""


def dtype_of(precision: str) -> torch.dtype:
    """Return the dtype of a precision.

    Raises:
        ValueError: `precision` is not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; available: {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]


def for_inference(net: Network) -> Network:
    """Return a copy of the network in float32 and eval mode, without gradients."""
    return copy.deepcopy(net).float().eval().requires_grad_(False)


def device_of(net: Network) -> torch.device:
    """Return the device of the network's weights; the CPU if it has none."""
    return next((tensor.device for tensor in [*net.parameters(), *net.buffers()]), torch.device("cpu"))


def parent_paths(path: str) -> Iterator[str]:
    """Yield a module's path and those of its parents, innermost first."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def match_paths(paths: Collection[str], patterns: Collection[str]) -> set[str]:
    """Return the paths that fully match one of the regular expressions.

    Raises:
        ArgumentError: an invalid regular expression, or one that matches no path; the message names the closest paths.
    """
    found: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        try:
            matches = {path for path in paths if path and re.fullmatch(pattern, path)}
        except re.error as error:
            cause = f"invalid regular expression {pattern!r} ({error})"
            raise ArgumentError(cause, argument="fp32_modules") from None
        if not matches:
            close = difflib.get_close_matches(pattern.replace("\\", ""), [path for path in paths if path], cutoff=0)
            cause = f"{pattern!r} does not fully match any module path"
            raise ArgumentError(cause, f"closest: {', '.join(close)}", argument="fp32_modules")
        found |= matches
    return found

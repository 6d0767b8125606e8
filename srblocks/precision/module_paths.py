"""The precisions, and the modules that keep theirs."""

import copy
import difflib
import re
from collections.abc import Collection, Iterator

import torch

from ..network import Network

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""Name of each precision -> the type that the network computes in."""


def dtype_of(precision: str) -> torch.dtype:
    """Give the type of a precision.

    Raises:
        ValueError: it is none of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} is unknown; use {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]


def for_inference(net: Network) -> Network:
    """Give a copy of the network in float32 and eval mode, of which nothing is trained."""
    return copy.deepcopy(net).float().eval().requires_grad_(False)


def device_of(net: Network) -> torch.device:
    """Give the device of the network's weights; the CPU for one without any."""
    return next((tensor.device for tensor in [*net.parameters(), *net.buffers()]), torch.device("cpu"))


def parent_paths(path: str) -> Iterator[str]:
    """Give a module's path and those of the modules around it, the innermost first."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def match_paths(paths: Collection[str], patterns: Collection[str]) -> set[str]:
    """Give the paths that fit one of the regular expressions as a whole.

    Raises:
        ValueError: no regular expression, or one that fits no path; the message names the closest ones.
    """
    found: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        try:
            those = {path for path in paths if path and re.fullmatch(pattern, path)}
        except re.error as error:
            raise ValueError(f"fp32_modules: {pattern!r} is no regular expression ({error})") from None
        if not those:
            close = difflib.get_close_matches(pattern.replace("\\", ""), [path for path in paths if path], cutoff=0)
            raise ValueError(
                f"fp32_modules: {pattern!r} fits no module's whole path; the closest are {', '.join(close)}"
            )
        found |= those
    return found

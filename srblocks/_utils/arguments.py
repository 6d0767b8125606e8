"""Constructor arguments of networks on a command line."""

import contextlib
import json
from typing import TYPE_CHECKING, NoReturn

from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..registry import NetworkSpec

_WORDS = {"true": True, "false": False, "none": None, "null": None}


def parse_argument(pair: str, spec: "NetworkSpec | None" = None) -> tuple[str, object]:
    """Parse ``name=value``. The value is JSON, True, False or None, or otherwise a string.

    Args:
        pair: the word.
        spec: the network: it must have the argument, whose default determines the type; None for an unknown network.

    Raises:
        ArgumentError: not an assignment, or the network has no such argument or type.

    Examples:
        >>> parse_argument("scales=[2, 4]")
        ('scales', [2, 4])
    """
    key, equals, text = pair.partition("=")
    if not equals or not key.isidentifier():
        raise ArgumentError(f"--arg must be KEY=VALUE, such as depth=8, got {pair!r}")
    if key == "scale":
        raise ArgumentError("--arg does not accept scale", "use --scale")
    if spec is None:
        return key, _value(text)
    defaults = spec.arguments()
    if key not in defaults:
        known = ", ".join(name for name in defaults if name != "scale")
        raise ArgumentError(f"{spec.name} has no argument {key!r}", f"use one of {known}")
    default = defaults[key]
    value, kind = _value(text), type(default)
    if kind is str:
        return key, text
    if kind is float and type(value) is int:
        return key, float(value)
    if default is None or type(value) is kind or (kind is tuple and type(value) is list):
        return key, value
    raise ArgumentError(f"--arg {key} must be of type {kind.__name__}, like its default {default}, got {text!r}")


def _value(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text, parse_constant=_reject)
    return text


def _reject(constant: str) -> NoReturn:
    raise ValueError(constant)

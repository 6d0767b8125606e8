"""Constructor arguments of networks as words of a command line."""

import contextlib
import json
from typing import NoReturn

from ..registry import NetworkSpec

_WORDS = {"true": True, "false": False, "none": None, "null": None}


def parse_argument(pair: str, spec: NetworkSpec | None = None) -> tuple[str, object]:
    """Read ``name=value``, where the value is JSON, a word of Python's (True, False, None) or a text.

    Args:
        pair: the words.
        spec: the network, whose argument it must be and whose default says the kind of the value; None where the
            network is not known yet.

    Raises:
        ValueError: it is no assignment, or not one that the network takes.

    Example:
        >>> parse_argument("scales=[2, 4]")
        ('scales', [2, 4])
    """
    key, equals, text = pair.partition("=")
    if not equals or not key.isidentifier():
        raise ValueError(f"--arg {pair!r} is no assignment; write --arg key=value, such as --arg depth=8")
    if spec is None:
        if key == "scale":
            raise ValueError("--arg scale is no argument here; the scale is --scale")
        return key, _value(text)
    defaults = spec.arguments()
    if key not in defaults or key == "scale":
        known = ", ".join(name for name in defaults if name != "scale")
        raise ValueError(f"{spec.name} takes no --arg {key}; it takes {known}; the scale is --scale")
    default = defaults[key]
    value, kind = _value(text), type(default)
    if kind is str:
        return key, text
    if kind is float and type(value) is int:
        return key, float(value)
    if default is None or type(value) is kind or (kind is tuple and type(value) is list):
        return key, value
    raise ValueError(f"--arg {key}={text!r} is no {kind.__name__}; give a value like the default, {default}")


def _value(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text, parse_constant=_refuse)
    return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)

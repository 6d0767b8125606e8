"""Constructor arguments of networks on the command line: ``--arg name=value``."""

import contextlib
import json
from typing import NoReturn, Protocol

_WORDS = {"true": True, "false": False, "none": None, "null": None}


class _Spec(Protocol):
    """The part of `srblocks.registry.NetworkSpec` that is used here."""

    @property
    def name(self) -> str: ...

    def arguments(self) -> dict[str, object]: ...


def parse_argument(pair: str, spec: _Spec | None = None) -> tuple[str, object]:
    """Parse ``name=value``; the value is JSON, a Python constant (True, False, None) or text.

    Args:
        pair: the text to parse.
        spec: spec of the network, which must have the argument and whose default determines the type; None if the
            network is not known yet.

    Raises:
        ValueError: it is not an assignment, or the network does not have the argument or not with this type.

    Examples:
        >>> parse_argument("scales=[2, 4]")
        ('scales', [2, 4])
    """
    key, equals, text = pair.partition("=")
    if not equals or not key.isidentifier():
        raise ValueError(f"--arg must be name=value, for example --arg depth=8, got {pair!r}")
    if spec is None:
        if key == "scale":
            raise ValueError("--arg scale is not supported; use --scale")
        return key, _value(text)
    defaults = spec.arguments()
    if key not in defaults or key == "scale":
        known = ", ".join(name for name in defaults if name != "scale")
        raise ValueError(f"{spec.name} has no argument {key!r}; --arg accepts {known}; use --scale for the scale")
    default = defaults[key]
    value, kind = _value(text), type(default)
    if kind is str:
        return key, text
    if kind is float and type(value) is int:
        return key, float(value)
    if default is None or type(value) is kind or (kind is tuple and type(value) is list):
        return key, value
    raise ValueError(f"--arg {key} must be of type {kind.__name__}, such as the default {default}, got {text!r}")


def _value(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text, parse_constant=_refuse)
    return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)

"""Parse an ONNX file with a library's own parser, whose answer per node decides what can be built."""

from __future__ import annotations

import re
from typing import Any

from .errors import EngineError, Rejection
from .logger import readable

_PREFIXES = ("Invalid Node - ", "[checkMacros.cpp")
# The reason after a failed check, which is a condition in C++.
_EXPLAINED = (
    re.compile(r'&& "(.+)"$'),
    re.compile(r".*Assertion failed: .*?: (.+)"),
    re.compile(r"check failed, condition: .*?\. (.+)"),
)
_NO_IMPORTER = ("false", "Plugin not found")
_INTERNAL = re.compile(r"\[\S+\] Error Code \d+: Internal Error ")
_FUNCTION = re.compile(r"(?:import|check)([A-Z]\w+)")
"""Functions of the parser that are for one operator."""


def parse(trt: Any, network: Any, model: bytes, title: str, logger: Any) -> None:
    """Parse a model into an empty network.

    Args:
        trt: the module of a library.
        network: the network definition.
        model: content of the ONNX file.
        title: name and version of the library in messages.
        logger: the logger of the builder.

    Raises:
        EngineError: E503, with a rejection per node that the parser rejects.
    """
    parser = trt.OnnxParser(network, logger)
    if parser.parse(model):
        return
    found = [_rejection(parser, parser.get_error(number), network) for number in range(parser.num_errors)]
    rejections = list(dict.fromkeys(found))
    reason = ", ".join(map(str, rejections)) or logger.reason
    raise EngineError(503, f"{title}: {reason}", "replace these operators, or use onnxruntime", rejections)


def _rejection(parser: Any, error: Any, network: Any) -> Rejection:
    """Return what the parser says about a node; 8.6 knows only its number, and some errors tell only the operator."""
    name = error.node_name() if hasattr(error, "node_name") else ""
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    callers = error.local_function_stack() if hasattr(error, "local_function_stack") else ()
    inside = callers[0].rpartition(" (")[0] if callers else ""  # such as "body.0/call (function)"
    number = int(error.node())
    imported: frozenset[str] = frozenset()
    if number < 0 and (function := _FUNCTION.fullmatch(error.func())) and parser.supports_operator(function[1]):
        operator = function[1]
        imported = frozenset(network.get_layer(place).name for place in range(network.num_layers))
    return Rejection(name, number, operator, _reason(str(error.desc()), name), inside, imported)


def _reason(text: str, node: str) -> str:
    """Return the reason in the description of an error, without C++."""
    lines = [line for line in text.strip().splitlines() if not line.startswith(_PREFIXES)] or [text.strip()]
    line = readable(lines[0]).removeprefix(f"{node}: ")
    if _INTERNAL.match(line):
        return "internal error of the parser"
    explained = next(filter(None, (pattern.search(line) for pattern in _EXPLAINED)), None)
    reason = explained[1].replace('" "', "") if explained else line
    return "it has no importer" if reason.startswith(_NO_IMPORTER) else reason.rstrip(".!")

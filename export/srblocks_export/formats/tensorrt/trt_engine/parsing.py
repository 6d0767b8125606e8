"""Parse an ONNX file with a library's own parser, whose answer per node decides what can be built."""

from __future__ import annotations

import re
from typing import Any

from .errors import EngineError, Rejection
from .logger import readable

_PREFIXES = ("Invalid Node - ", "[checkMacros.cpp")
# A failed check is its condition in C++, sometimes followed by `&& "why"` or `: why`.
_EXPLAINED = re.compile(r'&& "(.+)"|^Assertion failed: .*?: (.+)')


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
    found = [_rejection(parser.get_error(number)) for number in range(parser.num_errors)]
    if found and found[0].number < 0:
        found[0] = found[0]._replace(number=_first_unsupported(parser, model))
    rejections = list(dict.fromkeys(found))
    reason = ", ".join(map(str, rejections)) or logger.reason
    raise EngineError(503, f"{title}: {reason}", "replace these operators, or use onnxruntime", rejections)


def _rejection(error: Any) -> Rejection:
    """Return what the parser says about a node; 8.6 knows only its number."""
    name = error.node_name() if hasattr(error, "node_name") else ""
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    return Rejection(name, int(error.node()), operator, _reason(str(error.desc())))


def _reason(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if not line.startswith(_PREFIXES)] or [text.strip()]
    if lines[0] == "false":
        return "it has no importer"
    explained = _EXPLAINED.search(lines[0])
    reason = (explained[1] or explained[2]).replace('" "', "") if explained else readable(lines[0])
    return reason.rstrip(".!")


def _first_unsupported(parser: Any, model: bytes) -> int:
    """Return the index of the first node that is not supported, for errors that name none; -1 if it is unknown."""
    if not hasattr(parser, "supports_model_v2"):
        return -1
    parser.clear_errors()
    parser.supports_model_v2(model)
    parts = [number for number in range(parser.num_subgraphs) if not parser.is_subgraph_supported(number)]
    return min((int(node) for number in parts for node in parser.get_subgraph_nodes(number)), default=-1)

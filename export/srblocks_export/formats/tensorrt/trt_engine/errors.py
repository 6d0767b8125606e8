"""Errors of engine builds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Rejection(NamedTuple):
    """A node that a parser rejects.

    Attributes:
        node: name of the node, such as "body.0/conv2d"; empty if the parser does not know it.
        number: index of the node in its graph; -1 if the parser does not know it.
        operator: operator type; empty if the parser does not know it.
        reason: why.
        inside: name of the node that calls the function, or has the branch, in which the rejected node is; empty for
            nodes of the graph itself.
        imported: names of the layers that the parser made before; only if it knows neither name nor number of the node.
    """

    node: str
    number: int
    operator: str
    reason: str
    inside: str = ""
    imported: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return the rejection with the node and the module that it comes from."""
        node = self.node or (f"number {self.number}" if self.number >= 0 else "")
        module = next((name.rpartition("/")[0] for name in (self.node, self.inside) if "/" in name), "")
        named = (("node ", node), ("inside ", self.inside), ("module ", module))
        places = ", ".join(what + name for what, name in named if name)
        subject = f"operator {self.operator or '?'}" if self.operator or places else "model"
        return f"{subject} is rejected: {self.reason}" + (f" ({places})" if places else "")


class EngineError(Exception):
    """An error with a number, a cause and a remedy; the hundreds of the number are the exit code.

    Attributes:
        number: see above.
        cause: what was wrong.
        remedy: what to do about it.
        rejections: the nodes that the parser rejects.
    """

    def __init__(self, number: int, cause: str, remedy: str, rejections: Sequence[Rejection] = ()) -> None:
        super().__init__(f"E{number} {cause}; {remedy}")
        self.number = number
        self.cause = cause
        self.remedy = remedy
        self.rejections = tuple(rejections)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 characters, or its type if it has no text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]

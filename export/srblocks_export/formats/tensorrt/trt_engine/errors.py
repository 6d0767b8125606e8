"""Errors of engine builds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Rejection(NamedTuple):
    """A node that a parser rejects.

    Attributes:
        node: name of the node, such as "body.0/conv2d"; empty if the parser does not know it.
        number: index of the node in the graph.
        operator: operator type.
        reason: why.
    """

    node: str
    number: int
    operator: str
    reason: str

    def __str__(self) -> str:
        """Return the rejection with the node and the module that it comes from."""
        module = self.node.rpartition("/")[0]
        where = f"node {self.node or f'number {self.number}'}" + (f", module {module}" if module else "")
        return f"operator {self.operator or '?'} is rejected: {self.reason} ({where})"


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

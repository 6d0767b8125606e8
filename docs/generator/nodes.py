"""The elements of a figure."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass
class Figure:
    """A module to draw.

    Attributes:
        net: the module.
        inputs: the tensors to run it with.
        opened: types of submodules whose contents are drawn, inside a frame, instead of one box.
        optional: regular expression for the names of nodes that are dashed because they are optional.
        title: the title; empty for the name of the figure.
    """

    net: nn.Module
    inputs: tuple[Tensor, ...]
    opened: tuple[type[nn.Module], ...] = ()
    optional: str = "$^"
    title: str = ""


@dataclass(eq=False)
class Node:
    """One element of a figure.

    Attributes:
        kind: "end" (an input or output), "box" (a module or function) or "dot" (an operation on several tensors).
        label: its main text.
        name: its name in the module or in the trace.
        sources: the nodes of its inputs.
        shape: shape of its output.
        frame: path of the opened submodule that contains it; empty for the module itself.
        repeats: number of consecutive modules of the same kind that it stands for.
        note: small second line of text.
        column: position from left to right.
        lane: position from top to bottom; 0 is the main path.
        x: horizontal center.
        y: vertical center.
    """

    kind: str
    label: str
    name: str
    sources: list["Node"]
    shape: torch.Size
    frame: str = ""
    repeats: int = 1
    note: str = ""
    column: int = 0
    lane: int = 0
    x: float = field(default=0, repr=False)
    y: float = field(default=0, repr=False)

    @property
    def text(self) -> str:
        """The label with its number of repetitions."""
        return f"{self.label}  {TIMES}{self.repeats}" if self.repeats > 1 else self.label


def rows_of(node: Node) -> int:
    """Return the height of the feature map at a node; 0 if it is none. Figures are drawn with square maps."""
    return node.shape[2] if len(node.shape) == 4 and node.shape[2] == node.shape[3] > 1 else 0


def growth(node: Node, rows: int) -> float:
    """Return how many times larger than `rows` the map at a node is, as a power of 2."""
    return math.log2(rows_of(node) / rows) if rows_of(node) else -0.6

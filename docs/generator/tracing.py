"""What a module does, as nodes in rows and columns: it is traced and run, and nothing is said by hand but the rows."""

import operator
import re
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from srblocks.blocks.dense import Concatenate

DOTS = {operator.add: "+", operator.sub: "\N{MINUS SIGN}", operator.mul: "\N{MULTIPLICATION SIGN}", torch.cat: "c"}
"""Operations on several tensors -> their sign."""


@dataclass
class ImageData:
    """What to draw of a module.

    Attributes:
        net: the module.
        inputs: tensors to run it with.
        inside: types of modules inside it that are drawn as what they consist of, in a frame.
        lanes: label of a node -> row below the main one in which it stands.
        optional: pattern of the names of what is there only when asked for.
    """

    net: nn.Module
    inputs: tuple[Tensor, ...]
    inside: tuple[type[nn.Module], ...] = ()
    lanes: dict[str, int] = field(default_factory=dict)
    optional: str = "$^"


@dataclass(eq=False)
class Node:
    """Something that is drawn.

    Attributes:
        kind: "end" (the input, the output), "box" (a module) or "dot" (an operation on several tensors).
        label: what stands on it.
        name: its name in the module or the trace.
        sources: where its inputs come from.
        shape: of its output.
        frame: the module inside the module that it belongs to; empty for none.
        column: left to right.
        lane: row, top to bottom.
        x: of its middle.
        y: of its middle.
    """

    kind: str
    label: str
    name: str
    sources: list["Node"]
    shape: torch.Size
    frame: str = ""
    column: int = 0
    lane: int = 0
    x: float = 0
    y: float = 0


class _Tracer(fx.Tracer):
    def __init__(self, inside: tuple[type[nn.Module], ...]) -> None:
        super().__init__()
        self.inside = inside

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not isinstance(m, self.inside)


class _Run(fx.Interpreter):
    def run_node(self, n: fx.Node) -> Any:
        n.meta["value"] = super().run_node(n)
        return n.meta["value"]


def nodes_of(picture: ImageData) -> list[Node]:
    """Trace, run and place the nodes of a module, in the order in which they run.

    Modules that do nothing (identities, concatenations of one tensor) are left out.
    """
    graph = _Tracer(picture.inside).trace(picture.net)
    with torch.no_grad():
        _Run(fx.GraphModule(picture.net, graph)).run(*picture.inputs)
    drawn: dict[fx.Node, Node] = {}
    for traced in graph.nodes:
        sources = [drawn[source] for source in traced.all_input_nodes]
        drawn[traced] = _node(traced, sources, picture)
    nodes = list(dict.fromkeys(drawn.values()))
    _place(nodes, picture.lanes)
    return nodes


def _node(traced: fx.Node, sources: list[Node], picture: ImageData) -> Node:
    """Give the node that stands for a traced one, which is its only source where it does nothing."""
    shape = traced.meta["value"].shape
    if traced.op == "placeholder":
        return Node("end", traced.name, traced.name, sources, shape)
    if traced.op == "output":
        label = "sr" if traced.graph.find_nodes(op="placeholder")[0].name == "lr" else "y"
        return Node("end", label, traced.name, sources, shape)
    if traced.op != "call_module":
        return Node("dot", DOTS[traced.target], traced.name, sources, shape, sources[-1].frame)
    module, name = picture.net.get_submodule(traced.target), traced.target
    if isinstance(module, (nn.Identity, Concatenate)) and len(sources) == 1:
        return sources[0]
    if isinstance(module, Concatenate):
        return Node("dot", DOTS[torch.cat], name, sources, shape)
    around = [name.rpartition(".")[0]]
    while around[-1]:
        around.append(around[-1].rpartition(".")[0])
    frame = next((each for each in around if each and isinstance(picture.net.get_submodule(each), picture.inside)), "")
    return Node("box", indexed(name.removeprefix(f"{frame}.")), name, sources, shape, frame)


def indexed(name: str) -> str:
    """Write the name of a module as Python does."""
    return re.sub(r"\.(\d+)", r"[\1]", name)


def _place(nodes: list[Node], lanes: dict[str, int]) -> None:
    """Columns by the longest way from the input; a frame begins behind the one before it."""
    least, frame = 0, ""
    for node in nodes:
        if node.frame and node.frame != frame:
            least, frame = 1 + max(other.column for other in nodes), node.frame
        ahead = 1 + max((source.column for source in node.sources), default=-1)
        node.column = max(ahead, least) if node.frame else ahead
        node.lane = lanes.get(node.label, node.sources[0].lane if node.kind == "end" and node.sources else 0)
    for node in reversed(nodes):  # what is not in the main row stands as late as it can in its frame
        users = [user.column for user in nodes if node in user.sources and user.frame == node.frame]
        if node.lane and users:
            node.column = min(users) - 1

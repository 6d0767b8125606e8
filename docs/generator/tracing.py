"""Trace a module into the nodes of a figure."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from srblocks.blocks import MultiScale
from srblocks.blocks.dense import Concatenate

TIMES = "\N{MULTIPLICATION SIGN}"
DOTS = {
    "add": "+",
    "sub": "\N{MINUS SIGN}",
    "mul": TIMES,
    "truediv": "/",
    "matmul": "@",
    "cat": "c",
    "concat": "c",
}
"""Operations that combine tensors, and their signs."""

HIDDEN = {"clamp", "contiguous", "expand", "flatten", "getitem", "permute", "reshape"}
HIDDEN |= {"squeeze", "to", "transpose", "unflatten", "unsqueeze", "view"}
"""Operations that only rearrange a tensor, which figures leave out."""

LABELS = {"scaled_dot_product_attention": "softmax", "conv_transpose2d": "fold"}
"""Operations that figures call otherwise than torch."""


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


class _Tracer(fx.Tracer):
    def __init__(self, opened: tuple[type[nn.Module], ...]) -> None:
        super().__init__()
        self.opened = opened

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        inside = type(m) is nn.Sequential and (len(m) > 3 or any(isinstance(child, self.opened) for child in m))
        return not inside and not self._is_opened(m, module_qualified_name)

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Take no branch that depends on a tensor: those are for half precision."""
        return False

    def _is_opened(self, module: nn.Module, path: str) -> bool:
        """Whether the contents of a module are drawn: it is of an opened type, and not inside a module of that type."""
        if not isinstance(module, self.opened):
            return False
        parts = path.split(".")
        around = [self.root.get_submodule(".".join(parts[:i])) for i in range(1, len(parts))]
        return not any(type(each) is type(module) for each in around)


class _Run(fx.Interpreter):
    def run_node(self, n: fx.Node) -> Any:
        n.meta["value"] = super().run_node(n)
        return n.meta["value"]


def nodes_of(figure: Figure) -> list[Node]:
    """Trace and run a module; return its nodes in the order of execution, with columns and lanes.

    Identities, concatenations of one tensor and operations that only rearrange values are left out; runs of modules of
    one kind become one node.
    """
    tracer = _Tracer(figure.opened)
    graph = tracer.trace(figure.net)
    with torch.no_grad():
        _Run(fx.GraphModule(figure.net, graph)).run(*figure.inputs)
    drawn: dict[fx.Node, Node | None] = {}
    for traced in graph.nodes:
        sources = [node for source in traced.all_input_nodes if (node := drawn[source]) is not None]
        drawn[traced] = _node(traced, sources, figure)
    ends = [node for node in drawn.values() if node is not None and node.kind == "end"]
    used, ahead = set(ends), list(ends)
    while ahead:
        fresh = [source for source in ahead.pop().sources if source not in used]
        used.update(fresh)
        ahead += fresh
    nodes = [node for node in dict.fromkeys(drawn.values()) if node in used]
    nodes = _folded(nodes)
    _place(nodes)
    return nodes


def describe(module: nn.Module) -> str:
    """Return the label of a module: the kind of a layer, otherwise the name of its class."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        kind = "deconv" if isinstance(module, nn.ConvTranspose2d) else "conv"
        details = [f"{kind} {module.kernel_size[0]}{TIMES}{module.kernel_size[1]}"]
        details += [f"stride {module.stride[0]}"] * (kind == "conv" and module.stride[0] > 1)
        details += [f"dilation {module.dilation[0]}"] * (module.dilation[0] > 1)
        details += [f"{module.groups} groups"] * (module.groups > 1)
        return ", ".join(details)
    if type(module) is nn.Sequential:
        return " + ".join(describe(child) for child in module if not isinstance(child, nn.Identity)) or "identity"
    if isinstance(module, MultiScale):
        return describe(next(iter(module.branches.children())))
    return type(module).__name__.strip("_")


def indexed(name: str) -> str:
    """Return the name of a submodule as Python writes it."""
    return re.sub(r"\.(\d+)", r"[\1]", name)


def _node(traced: fx.Node, sources: list[Node], figure: Figure) -> Node | None:
    """Return the node of a traced operation: its own, its only source if it is hidden, None if it is not a tensor."""
    value = traced.meta["value"]
    if isinstance(value, (tuple, list)) and value and isinstance(value[0], Tensor):
        value = value[-1] if traced.op == "output" else value[0]
    if not isinstance(value, Tensor) or traced.op == "get_attr":
        return None
    if traced.op in ("placeholder", "output"):
        first = next(iter(traced.graph.nodes)).name
        label = traced.name if traced.op == "placeholder" else "sr" if first == "lr" else "y"
        return Node("end", label, traced.name, sources, value.shape)
    frame = _frame(traced, figure)
    if traced.op == "call_module":
        return _module_node(figure.net.get_submodule(traced.target), traced.target, sources, value.shape, frame)
    return _function_node(traced, sources, value.shape, frame)


def _function_node(traced: fx.Node, sources: list[Node], shape: torch.Size, frame: str) -> Node | None:
    """Return the node of a function or a method of a tensor."""
    operation = (traced.target if isinstance(traced.target, str) else traced.target.__name__).strip("_")
    if not sources or operation in HIDDEN or (operation == "cat" and len(sources) == 1):
        return sources[-1] if sources else None
    if operation not in DOTS:
        return Node("box", LABELS.get(operation, operation), traced.name, sources, shape, frame)
    if len(sources) > 1:
        return Node("dot", DOTS[operation], traced.name, sources, shape, frame)
    numbers = [f"{argument:g}" for argument in traced.args if isinstance(argument, (int, float))]
    factor = "weight" if any(source.op == "get_attr" for source in traced.all_input_nodes) else "n"
    return Node("box", f"{DOTS[operation]} {[*numbers, factor][0]}", traced.name, sources, shape, frame)


def _module_node(module: nn.Module, name: str, sources: list[Node], shape: torch.Size, frame: str) -> Node:
    """Return the node of a submodule that is drawn as one box or dot."""
    if isinstance(module, Concatenate):
        return sources[0] if len(sources) == 1 else Node("dot", "c", name, sources, shape, frame)
    if describe(module) in ("Identity", "identity"):
        return sources[0]
    slot = indexed(name.removeprefix(f"{frame}.").removeprefix("module.")).replace("normalise", "normalize")
    plain = slot.startswith("[") or slot.isdecimal()
    return Node("box", describe(module), name, sources, shape, frame, note="" if plain else slot)


def _frame(traced: fx.Node, figure: Figure) -> str:
    """Return the path of the innermost opened submodule that an operation belongs to."""
    if traced.op == "call_module":
        path = traced.target.rpartition(".")[0]
    else:
        stack = traced.meta.get("nn_module_stack") or {}
        path = next(reversed(stack.values()))[0] if stack else ""
    while path:
        module = figure.net.get_submodule(path)
        if isinstance(module, (*figure.opened, nn.Sequential)):
            return "" if path == "module" else path
        path = path.rpartition(".")[0]
    return ""


def _folded(nodes: list[Node]) -> list[Node]:
    """Merge runs of equal consecutive boxes, such as sixteen residual blocks, into one with a number."""
    while run := next(_runs(nodes), None):
        first, period, count = run
        chain, users = nodes[first : first + period * count], {}
        for node in nodes:
            for source in node.sources:
                users.setdefault(source, []).append(node)
        kept, last = chain[:period], chain[-1]
        label = " + ".join(node.label for node in kept)
        merged = Node("box", label, kept[0].name, kept[0].sources, last.shape, last.frame, repeats=count)
        for user in users.get(last, []):
            user.sources = [merged if source is last else source for source in user.sources]
        nodes = [*nodes[:first], merged, *nodes[first + period * count :]]
    return nodes


def _runs(nodes: list[Node]) -> Iterator[tuple[int, int, int]]:
    """Yield the first index, the period and the count of foldable runs."""
    uses = {node: sum(other.sources.count(node) for other in nodes) for node in nodes}

    def linked(i: int) -> bool:
        """Whether node i + 1 is the only user of node i, and both belong together."""
        here, there = nodes[i], nodes[i + 1]
        return there.sources == [here] and uses[here] == 1 and here.frame == there.frame

    def key(node: Node) -> tuple[object, ...]:
        return (node.kind, node.label, node.shape, node.repeats)

    for period in (1, 2, 3):
        for first in range(len(nodes) - 2 * period + 1):
            count, end = 1, first + period
            if not all(node.kind == "box" and node.repeats == 1 for node in nodes[first:end]):
                continue
            if not all(linked(i) for i in range(first, end - 1)):
                continue
            while (
                end + period <= len(nodes)
                and all(linked(i) for i in range(end - 1, end + period - 1))
                and all(key(nodes[end + i]) == key(nodes[first + i]) for i in range(period))
            ):
                count, end = count + 1, end + period
            if count > 1:
                yield first, period, count


def _place(nodes: list[Node]) -> None:
    """Set the column of each node by the longest path to it, and a lane of its own for each side branch."""
    least, frame = 0, ""
    for node in nodes:
        if node.frame and node.frame != frame:
            behind = [other.column for other in nodes if other.frame and other.frame == frame]
            least, frame = 1 + max(behind, default=-1), node.frame
        ahead = 1 + max((source.column for source in node.sources), default=-1)
        node.column = max(ahead, least) if node.frame else ahead
    main = _longest_path(nodes)
    for node in reversed(nodes):  # side branches start as late as they can
        users = [user.column for user in nodes if node in user.sources]
        if node not in main and users and node.kind != "end":
            node.column = max(node.column, min(users) - 1)
    taken: dict[int, set[int]] = {0: {node.column for node in main}}
    for node in nodes:
        if node in main:
            continue
        users = [user.column for user in nodes if node in user.sources]
        stop = min(users, default=node.column + 1)

        def span(lane: int, node: Node = node, stop: int = stop) -> set[int]:
            """Columns that the node and the line to it need in a lane."""
            starts = [source.column + 1 for source in node.sources if source.lane != lane]
            return set(range(min([node.column, *starts]), stop))

        preferred = [source.lane for source in node.sources if source.lane]
        lanes = [*preferred, *range(1, len(nodes) + 1)]
        node.lane = next(lane for lane in lanes if not taken.get(lane, set()) & span(lane))
        taken.setdefault(node.lane, set()).update(span(node.lane))


def _longest_path(nodes: list[Node]) -> set[Node]:
    """Return the nodes of the longest path that ends at the last node."""
    length: dict[Node, float] = {}
    for node in nodes:
        length[node] = 1 + max((length[source] for source in node.sources), default=0)
    path, node = {nodes[-1]}, nodes[-1]
    while node.sources:
        node = max(node.sources, key=lambda source: (length[source], source.kind != "end", source.shape[1]))
        path.add(node)
    return path


def rows_of(node: Node) -> int:
    """Return the height of the feature map at a node; 0 if it is none. Figures are drawn with square maps."""
    return node.shape[2] if len(node.shape) == 4 and node.shape[2] == node.shape[3] > 1 else 0


def growth(node: Node, rows: int) -> float:
    """Return how many times larger than `rows` the map at a node is, as a power of 2."""
    return math.log2(rows_of(node) / rows) if rows_of(node) else -0.6

"""Trace a module into the nodes of a figure."""

import re
from typing import Any

import torch
from torch import Tensor, fx, nn

from srblocks.blocks import MultiScale
from srblocks.blocks.dense import Concatenate

from .nodes import TIMES, Figure, Node
from .placement import folded, place

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
    nodes = folded(nodes)
    place(nodes)
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

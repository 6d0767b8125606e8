"""What of a program TensorRT executes, and what stays in PyTorch."""

import operator
from collections import Counter
from collections.abc import Iterator

import torch
from torch.fx import GraphModule


def operators(module: GraphModule) -> Iterator[str]:
    """The operators that a graph itself executes, without arithmetic on sizes and picking from lists."""
    for node in module.graph.nodes:
        name = str(node.target)
        sizes = name.startswith("aten.sym_") or isinstance(node.meta.get("val"), (torch.SymInt, torch.SymFloat))
        if node.op == "call_function" and node.target is not operator.getitem and not sizes:
            yield name


def division(compiled: GraphModule) -> tuple[int, list[str]]:
    """Give the number of engines and the operators left in PyTorch.

    An engine takes the place of a part named `_run_on_acc_0`, `_run_on_acc_1`, ...; the other parts and what stands
    between them are graphs as before, and so is the whole where nothing is converted.
    """
    parts = dict(compiled.named_children())
    engines = [name for name, part in parts.items() if "_run_on_acc" in name and not isinstance(part, GraphModule)]
    graphs = [compiled, *(part for part in parts.values() if isinstance(part, GraphModule))]
    return len(engines), sorted(name for graph in graphs for name in operators(graph))


def remarks(left: list[str], engines: int) -> list[str]:
    """Give a warning for the operators left in PyTorch, none where there are none."""
    if not left:
        return []
    names = ", ".join(f"{name} ({count})" for name, count in Counter(left).items())
    parts = f"{engines} engine{'s' if engines > 1 else ''}"
    return [f"torch-trt: {parts}, and outside of TensorRT {len(left)} operators that PyTorch executes: {names}"]

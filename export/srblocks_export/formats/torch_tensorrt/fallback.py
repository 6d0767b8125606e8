"""Partition of a compiled program between TensorRT and PyTorch."""

import operator
from collections import Counter
from collections.abc import Iterator

import torch
from torch.fx import GraphModule


def operators(module: GraphModule) -> Iterator[str]:
    """Yield the operators that a graph itself executes, without size arithmetic and indexing of lists."""
    for node in module.graph.nodes:
        name = str(node.target)
        sizes = name.startswith("aten.sym_") or isinstance(node.meta.get("val"), (torch.SymInt, torch.SymFloat))
        if node.op == "call_function" and node.target is not operator.getitem and not sizes:
            yield name


def partition(compiled: GraphModule) -> tuple[int, list[str]]:
    """Return the number of engines and the operators that stay in PyTorch.

    Engines replace submodules named `_run_on_acc_0`, `_run_on_acc_1`, ...; everything else is still a graph.
    """
    parts = dict(compiled.named_children())
    engines = [name for name, part in parts.items() if "_run_on_acc" in name and not isinstance(part, GraphModule)]
    graphs = [compiled, *(part for part in parts.values() if isinstance(part, GraphModule))]
    return len(engines), sorted(name for graph in graphs for name in operators(graph))


def fallback_warnings(in_torch: list[str], engines: int) -> list[str]:
    """Return a warning about the operators that stay in PyTorch, if any."""
    if not in_torch:
        return []
    names = ", ".join(f"{name} ({count})" for name, count in Counter(in_torch).items())
    parts = f"{engines} engine{'s' if engines > 1 else ''}"
    return [f"torch-trt: {parts}; {len(in_torch)} operators run in PyTorch: {names}"]

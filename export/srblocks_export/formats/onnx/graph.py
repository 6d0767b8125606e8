"""Cleanup of exported ONNX graphs: nodes named by module, means that all runtimes support, no debug records."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

_SCOPES = "pkg.torch.onnx.name_scopes"
# torch's placeholder for an unknown module, and its suffix for repeated calls of a module.
_NO_MODULE = re.compile(r"_empty_nn_module_stack.*|@\d+")
_GETATTR = re.compile(r"getattr\(([^()]+), '(\w+)'\)")


def clean_up(model: ModelProto) -> None:
    """Name the nodes of a model, simplify its means and squeezes, and remove debug records, in place."""
    for graph in (graph for scope in scopes(model) for graph in scope):
        _name(graph)
        _strip(graph)
    del model.metadata_props[:]
    _rewrite(model.graph)


def scopes(model: ModelProto) -> Iterator[list[Any]]:
    """Yield the graph and each function of the model, each with its nested graphs."""
    for outermost in (model.graph, *model.functions):
        scope: list[Any] = [outermost]
        for graph in scope:
            for attribute in (attribute for node in graph.node for attribute in node.attribute):
                scope += [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else ())]
        yield scope


class Values:
    """Constants, types and sizes of the values of a scope."""

    def __init__(self, scope: Sequence[Any]) -> None:
        self._tensors: dict[str, TensorProto] = {}
        self._types: dict[str, Any] = {}
        for graph in scope:
            self._tensors |= {tensor.name: tensor for tensor in getattr(graph, "initializer", ())}
            for node in graph.node:
                if node.op_type == "Constant" and node.attribute[0].HasField("t"):
                    self._tensors[node.output[0]] = node.attribute[0].t
            named = [*graph.value_info]
            if isinstance(graph, GraphProto):
                named += [*graph.input, *graph.output]
            self._types |= {value.name: value.type.tensor_type for value in named}

    def constant(self, name: str) -> Any:
        """Return the array of an initializer or constant node; None for computed values."""
        return onnx.numpy_helper.to_array(self._tensors[name]) if name in self._tensors else None

    def dtype(self, name: str) -> int:
        """Return the element type; `TensorProto.UNDEFINED` if it is not recorded."""
        if name in self._tensors:
            return self._tensors[name].data_type
        return self._types[name].elem_type if name in self._types else TensorProto.UNDEFINED

    def shape(self, name: str) -> list[int | None] | None:
        """Return the sizes, with None for dynamic ones; None if the rank is not recorded."""
        if name in self._tensors:
            return list(self._tensors[name].dims)
        if name not in self._types or not self._types[name].HasField("shape"):
            return None
        return [side.dim_value if side.HasField("dim_value") else None for side in self._types[name].shape.dim]


def _module_path(recorded: str) -> str:
    """Return the path of a module; torch 2.7 records an expression such as ``getattr(L['self'].body, '0')[1]``."""
    path = _NO_MODULE.sub("", recorded)
    while _GETATTR.search(path):
        path = _GETATTR.sub(r"\1.\2", path)
    return re.sub(r"\[(\d+)\]", r".\1", path.removeprefix("L['self']").removeprefix("."))


def _name(graph: Any) -> None:
    """Name every node by its module path and torch's name; nodes unknown to torch inherit the path of their input.

    Nodes that are part of a named torch operation add their operator type.
    """
    paths: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for node in graph.node:
        recorded = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), None)
        own = name = node.name.removeprefix("node_")
        if recorded:
            *modules, name = ast.literal_eval(recorded)
            path = _module_path(modules[-1] if modules else "")
        else:
            path = next((paths[value] for value in node.input if value in paths), "")
        paths |= dict.fromkeys(node.output, path)
        name = f"{path}/{name}" if path else name
        name += "" if own == name.rpartition("/")[2] else f".{node.op_type}"
        counts[name] += 1
        node.name = name if counts[name] == 1 else f"{name}.{counts[name]}"


def _strip(graph: Any) -> None:
    """Remove stack traces and other debug records."""
    graph.doc_string = ""
    del graph.metadata_props[:]
    for part in (*graph.node, *graph.value_info, *getattr(graph, "input", ()), *getattr(graph, "output", ())):
        if hasattr(part, "metadata_props"):
            part.doc_string = ""
            del part.metadata_props[:]


def _rewrite(graph: GraphProto) -> None:
    """Replace means that keep two axes by GlobalAveragePool, and give squeezes explicit axes.

    TensorRT 8.6 averages over all axes if they are an input, as they are since opset 18. TensorRT up to 11.4 requires
    the axes of a squeeze.
    """
    values = Values([graph])
    nodes: list[NodeProto] = []
    axes: list[TensorProto] = []
    dropped: set[str] = set()
    for node in graph.node:
        found = _pooled(node, values) or _squeezed(node, values)
        if found:
            dropped |= set(node.input[1:])
            axes += [found[1]] if found[1] else []
        nodes += found[0] if found else [node]
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name not in dropped - used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend((*kept, *axes))


def _pooled(node: NodeProto, values: Values) -> tuple[list[NodeProto], TensorProto | None] | None:
    """Return the replacement of a mean and its squeezed axes; None if the node is kept."""
    if node.op_type != "ReduceMean" or len(node.input) != 2:
        return None
    axes, shape = values.constant(node.input[1]), values.shape(node.input[0])
    if axes is None or shape is None:
        return None
    reduced = sorted(int(axis) % len(shape) for axis in axes)
    order = [axis for axis in range(len(shape)) if axis not in reduced] + reduced
    if len(order) < 3 or len(reduced) != len(order) - 2:
        return None
    keep = next((attribute.i for attribute in node.attribute if attribute.name == "keepdims"), 1)
    moved = order != sorted(order)
    squeezed = None if keep else _tensor(f"{node.output[0]}_axes", range(2, len(order)))
    steps: list[tuple[str, list[str], dict[str, Any]]] = [("GlobalAveragePool", [], {})]
    if moved:
        steps.insert(0, ("Transpose", [], {"perm": order}))
    if squeezed:
        steps.append(("Squeeze", [squeezed.name], {}))
    elif moved:
        steps.append(("Transpose", [], {"perm": [order.index(axis) for axis in range(len(order))]}))
    made: list[NodeProto] = []
    value = node.input[0]
    for number, (operator, others, attributes) in enumerate(steps):
        last = number == len(steps) - 1
        output = node.output[0] if last else f"{node.output[0]}_{operator}_{number}"
        name = node.name if operator == "GlobalAveragePool" else f"{node.name}.{operator}.{number}"
        made.append(helper.make_node(operator, [value, *others], [output], name, **attributes))
        value = output
    return made, squeezed


def _squeezed(node: NodeProto, values: Values) -> tuple[list[NodeProto], TensorProto] | None:
    """Return a squeeze with explicit axes; None if it has axes already or they are unknown."""
    shape = values.shape(node.input[0]) if node.op_type == "Squeeze" and len(node.input) == 1 else None
    if shape is None or None in shape:
        return None
    axes = _tensor(f"{node.output[0]}_axes", [axis for axis, side in enumerate(shape) if side == 1])
    return [helper.make_node("Squeeze", [node.input[0], axes.name], node.output, node.name)], axes


def _tensor(name: str, axes: Sequence[int]) -> TensorProto:
    return helper.make_tensor(name, TensorProto.INT64, [len(axes)], list(axes))

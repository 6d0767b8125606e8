"""Execution of bfloat16 graphs where the runtime has no bfloat16 arithmetic."""

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, load_from_string, numpy_helper

from .graph import Values

_BF16, _FLOAT = TensorProto.BFLOAT16, TensorProto.FLOAT


def emulated(content: bytes) -> bytes:
    """Return an equivalent model that stores bfloat16 values in float32.

    Each node computes in float32 and its bfloat16 results are rounded to bfloat16, as on hardware with float32
    accumulators. Values that exist only within a node are not rounded.

    Args:
        content: an ONNX file.
    """
    model = load_from_string(content)
    _emulate(model.graph)
    return model.SerializeToString()


def _emulate(graph: GraphProto) -> None:
    values = Values([graph])
    nodes: list[NodeProto] = []
    for node in graph.node:
        results = [name for name in node.output if values.dtype(name) == _BF16]
        for attribute in node.attribute:
            _widen(node, attribute)
        for place, name in enumerate(node.output):
            if name in results:
                node.output[place] = f"{name}.wide"
        nodes.append(node)
        for name in results:
            nodes.append(helper.make_node("Cast", [f"{name}.wide"], [f"{name}.rounded"], f"{name}.round", to=_BF16))
            nodes.append(helper.make_node("Cast", [f"{name}.rounded"], [name], f"{name}.widen", to=_FLOAT))
    del graph.node[:]
    graph.node.extend(nodes)
    for tensor in graph.initializer:
        if tensor.data_type == _BF16:
            tensor.CopyFrom(_float(tensor))
    for value in graph.value_info:
        if value.type.tensor_type.elem_type == _BF16:
            value.type.tensor_type.elem_type = _FLOAT


def _widen(node: NodeProto, attribute: AttributeProto) -> None:
    if attribute.HasField("t") and attribute.t.data_type == _BF16:
        attribute.t.CopyFrom(_float(attribute.t))
    elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == _BF16:
        attribute.i = _FLOAT


def _float(tensor: TensorProto) -> TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float32"), tensor.name)

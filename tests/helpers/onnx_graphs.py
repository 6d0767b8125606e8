"""Checks of exported ONNX graphs."""

from onnx import GraphProto

from srblocks.network import Network


def check_node_names(net: Network, graph: GraphProto) -> None:
    """Check that the names of nodes are short, unique, and paths of modules; weights belong to the same module."""
    names = [node.name for node in graph.node]
    assert sum(map(len, names)) < 64 * len(names)
    assert len(set(names)) == len(names)
    modules = [name.rpartition("/")[0] for name in names]
    for path in modules:
        net.get_submodule(path)
    assert sum(bool(path) for path in modules) > len(names) / 2
    weights = {tensor.name.removesuffix(".weight") for tensor in graph.initializer if "weight" in tensor.name}
    pairs = [(node.input[1].removesuffix(".weight"), node.name) for node in graph.node if node.op_type == "Conv"]
    found = [(weight, name.rpartition("/")[0]) for weight, name in pairs if weight in weights]
    assert [(weight, path) for weight, path in found if path != weight] == []
    assert len({weight for weight, _ in found}) >= 4

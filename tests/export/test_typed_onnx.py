"""ONNX files for TensorRT: types, operators that its parsers support, and node names."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import GraphProto, TensorProto
from torch import Tensor, nn

from helpers.small_networks import narrow_arguments
from helpers.support import tensorrt_findings, trained_alike, write_artifact
from srblocks import create_network, optimize, to_precision
from srblocks.network import Network
from srblocks.networks import network_spec, network_specs
from srblocks.registry import NetworkSpec
from srblocks_export.config import ExportConfig
from srblocks_export.export import network_shapes
from srblocks_export.shapes import Shapes
from srblocks_export.verification.inputs import References
from srblocks_export.verification.process import Worker


def write(net: Network, folder: Path, shapes: Shapes | None = None) -> Path:
    """Export a network without optimization and verification."""
    request = ExportConfig(formats=("onnx",), out=folder)
    write_artifact(net, folder / "net.onnx", request, shapes=shapes)
    return folder / "net.onnx"


# Interpolation with shared weights, channel attention, and up- and downsampling; the other networks are slow tests.
REPRESENTATIVES = ("drcn", "rcan", "dbpn_ss")


def reduced(name: str, **channels: int) -> Network:
    spec = network_spec(name)
    config = {"value_range": 1.0} if "value_range" in spec.arguments() else {}
    return trained_alike(create_network(name, scale=min(spec.scales), **spec.reduced, **channels, **config))


@pytest.mark.parametrize(
    "each",
    [pytest.param(spec, marks=[] if spec.name in REPRESENTATIVES else [pytest.mark.slow]) for spec in network_specs()],
    ids=lambda spec: spec.name,
)
def test_typed_graph_supports_every_tensorrt(each: NetworkSpec, tmp_path: Path, worker: Worker) -> None:
    net = reduced(each.name, **narrow_arguments(each))
    half = to_precision(optimize(net), "fp16")
    request = ExportConfig(formats=("onnx",), out=tmp_path, precision="fp16")
    shapes = network_shapes(half, request)
    _, c, h, w = shapes.minimum
    shapes = replace(shapes, maximum=(3, c, h + 10 * shapes.multiple, w + 14 * shapes.multiple))
    path = write(half, tmp_path, shapes)
    assert tensorrt_findings(path) == []
    graph = onnx.load(path).graph
    if each.name in REPRESENTATIVES:
        check_node_names(half, graph)
    weights = {tensor.data_type for tensor in graph.initializer if tensor.name.startswith("net.")}
    assert weights == {TensorProto.FLOAT16}
    kinds = [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)]
    assert kinds == [TensorProto.FLOAT] * 2
    result = worker.verify(path, References(net, shapes, tmp_path), *request.bounds)
    assert result.problem is None
    assert len({tuple(case.shape[2:]) for case in result.cases}) >= 3


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


class Means(Network):
    """Network with every mean that becomes a pool, and one that does not."""

    def __init__(self) -> None:
        super().__init__(scale=1, image_channels=3)
        self.tail = nn.Conv2d(3, 3, 1)

    def forward(self, lr: Tensor) -> Tensor:
        pixels = lr.flatten(2)
        covariance = pixels @ pixels.transpose(1, 2)
        kept = lr.mean((2, 3), keepdim=True) + lr.mean((-1, -2))[:, :, None, None]
        kept = kept + pixels.mean(2, keepdim=True)[..., None] + covariance.mean(1)[:, :, None, None]
        across = covariance.mean(1, keepdim=True).transpose(1, 2)[..., None] + lr.mean((1, 2), keepdim=True)
        return self.tail(lr) + kept + across + lr.mean(1, keepdim=True)


def test_means_become_pools_with_equal_values(tmp_path: Path, worker: Worker) -> None:
    net = Means().eval()
    path = write(net, tmp_path)
    request = ExportConfig(formats=("onnx",), out=tmp_path)
    result = worker.verify(path, References(net, network_shapes(net, request), tmp_path), 1e-5)
    assert result.problem is None
    graph = onnx.load(path).graph
    counts = Counter(node.op_type for node in graph.node)
    assert (counts["GlobalAveragePool"], counts["ReduceMean"]) == (6, 1)
    assert [(finding.operator, finding.targets) for finding in tensorrt_findings(path, "8.6")] == [
        ("ReduceMean", ("8.6",))
    ]
    used = {name for node in graph.node for name in node.input}
    assert [tensor.name for tensor in graph.initializer if tensor.name not in used] == []


@pytest.mark.slow
@pytest.mark.parametrize("name,precision", [("rcan", "fp16"), ("msrresnet", "fp32"), ("drcn", "fp32")])
def test_node_names_of_wide_networks(name: str, precision: str, tmp_path: Path) -> None:
    net = optimize(reduced(name))
    net = to_precision(net, precision) if precision != "fp32" else net
    path = write(net, tmp_path)
    graph = onnx.load(path).graph
    check_node_names(net, graph)
    assert sum(len(node.name) for node in graph.node) < 0.01 * path.stat().st_size


EXPORT = """
import pathlib, sys, torch
sys.path[:] = sys.argv[2:]
from test_typed_onnx import reduced, write
torch.manual_seed(0)
write(reduced("rcan"), pathlib.Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = write(reduced("rcan"), tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    folders = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", EXPORT, other, *folders], check=True, env=environment)
    assert (other / "net.onnx").read_bytes() == path.read_bytes()
    assert b"srblocks/" not in path.read_bytes()

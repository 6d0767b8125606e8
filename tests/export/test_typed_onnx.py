"""ONNX files for TensorRT: types, operators that its parsers support, and node names."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from helpers.onnx_graphs import check_node_names
from helpers.support import tensorrt_findings, trained_alike, write_artifact
from srblocks import create_network, optimize, to_precision
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks_export.config import ExportConfig
from srblocks_export.plan import network_shapes
from srblocks_export.shapes import Shapes
from srblocks_export.verification.inputs import References
from srblocks_export.verification.process import Worker


def write(net: Network, folder: Path, shapes: Shapes | None = None) -> Path:
    """Export a network without optimization and verification."""
    request = ExportConfig(formats=("onnx",), out=folder)
    write_artifact(net, folder / "net.onnx", request, shapes=shapes)
    return folder / "net.onnx"


def reduced(name: str, **channels: int) -> Network:
    spec = network_spec(name)
    config = {"value_range": 1.0} if "value_range" in spec.arguments() else {}
    return trained_alike(create_network(name, scale=spec.default_scale, **spec.reduced, **channels, **config))


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

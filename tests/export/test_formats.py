"""Exported networks: reloaded and compared with the original at several sizes, in every portable format."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from helpers.small_networks import narrow_arguments
from helpers.support import (
    PORTABLE,
    Unshuffled,
    filled,
    relative_error,
    tensorrt_findings,
    trained_alike,
    write_artifact,
)
from srblocks import create_network, optimize
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec
from srblocks_export.config import ExportConfig
from srblocks_export.errors import InputError
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS
from srblocks_export.plan import network_shapes
from srblocks_export.runtime import load
from srblocks_export.shapes import Shapes
from srblocks_export.verification import inputs
from srblocks_export.verification.inputs import References, verification_shapes
from srblocks_export.verification.process import Worker

pytestmark = pytest.mark.usefixtures("one_verifier")

# Outputs of filled networks are far from 1; the order of float32 sums changes them by up to this.
TOLERANCE = 2e-5
# The softmax over feature products in SAN and over the attention of CSNLN amplifies rounding errors: folding the value
# range of CSNLN changes its output at 4x4 by 3.8e-5.
TOLERANCES = {"san": 1e-4, "csnln": 1e-4}
# GlobalAveragePool of onnxruntime is half as accurate as a mean in torch: SAN then differs from float64 by 4.4e-4.
ONNX_TOLERANCES = {"san": 1e-3}
# Rounding errors accumulate at full depth.
DEEP_TOLERANCE = 1e-4
# Large sums saturate the gates of these networks, and float32 itself is far from float64.
GATED = ("drn_l", "drn_s", "rcan", "san")
# torch.export, and thus ONNX and PT2, takes up to half a minute for these.
SLOW_TO_TRACE = ("csnln", "san")


def export_and_verify(
    net: Network, format_name: str, folder: Path, worker: Worker, tolerance: float, *, plain: bool = False
) -> None:
    """Export the network, optimized unless `plain`, and compare the artifact with the original network."""
    case = f"{type(net).__name__}, {format_name}, plain={plain}"
    request = ExportConfig(formats=(format_name,), out=folder)
    exported = net if plain else optimize(net)
    shapes = network_shapes(exported, request)
    path = folder / f"artifact{FORMATS[format_name].suffix}"
    write_artifact(exported, path, request, reference=net)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "verification_shapes", with_random_shapes)
        references = References(net, shapes, folder)
    result = worker.verify(path, references, tolerance)
    assert result.problem is None, case
    assert len({tuple(each.shape) for each in result.cases}) >= 4, case
    if format_name == "onnx":
        assert tensorrt_findings(path) == [], case


def with_random_shapes(shapes: Shapes) -> list[tuple[int, int, int, int]]:
    """Return the shapes that every export is verified at, and two random ones."""
    found = verification_shapes(shapes)
    for _ in range(2):
        batch, *steps = torch.randint(0, 12, (3,)).tolist()
        sides = [low + step * shapes.multiple for low, step in zip(shapes.minimum[2:], steps, strict=True)]
        found.append((1 + batch % 4, shapes.minimum[1], *sides))
    return found


def tolerance_for(name: str, format_name: str) -> float:
    special = ONNX_TOLERANCES.get(name) if format_name == "onnx" else None
    return special or TOLERANCES.get(name, TOLERANCE)


def full_depth_network(name: str) -> Network:
    if name in GATED:
        return trained_alike(create_network(name, value_range=1.0), gain=0.4)
    return trained_alike(create_network(name))


def representative_format(spec: NetworkSpec) -> str:
    """Return the format of a network in the default test run; the slow tests cover all formats.

    The classes of each framework take turns, so that each framework is exported to both; test_trt_rtx.py exports every
    class to ONNX.
    """
    if spec.name in SLOW_TO_TRACE:
        return "torchscript"
    peers = [each for each in network_specs() if each.framework == spec.framework and each.name not in SLOW_TO_TRACE]
    classes = list(dict.fromkeys(each.constructor[0] for each in peers))
    formats = [name for name in ("pt2", "torchscript") if name in PORTABLE]
    return formats[classes.index(spec.constructor[0]) % len(formats)]


@pytest.mark.one_of_each_class
def test_artifact_matches_network_at_several_sizes(spec: NetworkSpec, tmp_path: Path, worker: Worker) -> None:
    net = filled(create_network(spec.name, scale=spec.default_scale, **spec.reduced, **narrow_arguments(spec)))
    format_name = representative_format(spec)
    export_and_verify(net, format_name, tmp_path, worker, tolerance_for(spec.name, format_name))


@pytest.mark.slow
def test_artifact_of_every_scale_matches_network(spec: NetworkSpec, scale: int, tmp_path: Path, worker: Worker) -> None:
    net = filled(create_network(spec.name, scale=scale, **spec.reduced))
    for format_name, plain in itertools.product(PORTABLE, (False, True)):
        export_and_verify(net, format_name, tmp_path, worker, tolerance_for(spec.name, format_name), plain=plain)


@pytest.mark.slow
def test_full_depth_artifact_matches_network(spec: NetworkSpec, tmp_path: Path, worker: Worker) -> None:
    if not spec.reduced:
        pytest.skip("the test of every scale already uses the full depth")
    net = full_depth_network(spec.name)
    for format_name in PORTABLE:
        export_and_verify(net, format_name, tmp_path, worker, DEEP_TOLERANCE)
    lr = torch.rand(1, net.image_channels, 17, 23)
    with torch.no_grad():
        before = net(lr)
        layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)]
        layers[len(layers) // 2].weight *= 1.01
        assert relative_error(net(lr), before) > 5 * DEEP_TOLERANCE, "the tolerance hides a small change in the middle"


@pytest.mark.parametrize("format_name", PORTABLE)
def test_static_artifact_has_one_shape(format_name: str, tmp_path: Path, worker: Worker) -> None:
    net = filled(create_network("espcn", scale=3))
    request = ExportConfig(formats=(format_name,), out=tmp_path, shape=(1, 1, 9, 14))
    shapes = network_shapes(net, request)
    path = tmp_path / f"static{FORMATS[format_name].suffix}"
    write_artifact(net, path, request)
    result = worker.verify(path, References(net, shapes, tmp_path), TOLERANCE)
    assert result.problem is None
    assert [case.shape for case in result.cases] == [[1, 1, 9, 14]]


def test_size_multiples_stay_dynamic(tmp_path: Path) -> None:
    (report,) = export_network(Unshuffled(), ExportConfig(formats=("pt2",), out=tmp_path))
    assert report.error is None
    assert report.path is not None
    artifact = load(report.path)
    assert artifact(torch.rand(3, 1, 6, 10)).shape == (3, 1, 12, 20)
    assert artifact.shapes.minimum == (1, 1, 4, 4)
    with pytest.raises(InputError, match=r"height 2 is outside 4..any"):
        artifact(torch.rand(1, 1, 2, 8))


@pytest.mark.parametrize("format_name", PORTABLE)
def test_requested_ranges_are_kept(format_name: str, tmp_path: Path, worker: Worker) -> None:
    net = filled(create_network("edsr_baseline", depth=1, width=8))
    request = ExportConfig(formats=(format_name,), out=tmp_path, minimum=(1, 3, 8, 8), maximum=(4, 3, 20, 40))
    shapes = network_shapes(net, request)
    path = tmp_path / f"ranged{FORMATS[format_name].suffix}"
    write_artifact(net, path, request)
    result = worker.verify(path, References(net, shapes, tmp_path), TOLERANCE)
    assert result.problem is None
    shapes_compared = [tuple(case.shape) for case in result.cases]
    assert shapes_compared == [(1, 3, 20, 30), (2, 3, 20, 40), (1, 3, 20, 19), (1, 3, 8, 8), (4, 3, 20, 40)]

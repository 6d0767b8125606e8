"""Every network in every portable format: exported with dynamic sizes, reloaded, compared at several sizes."""

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
from srblocks_export.export import export_network, network_shapes
from srblocks_export.formats import FORMATS
from srblocks_export.runtime import load
from srblocks_export.shapes import Shapes
from srblocks_export.verification import inputs
from srblocks_export.verification.inputs import References, verification_shapes
from srblocks_export.verification.process import Worker

pytestmark = pytest.mark.usefixtures("one_verifier")

# Filled networks reach values far from 1; float32 in another order of sums differs by this much at most.
TOLERANCE = 2e-5
# The softmax of SAN's products of features amplifies rounding, and so does that of CSNLN's attention: at 4x4 folding
# the value range changes the output by 3.8e-5.
TOLERANCES = {"san": 1e-4, "csnln": 1e-4}
# onnxruntime's GlobalAveragePool is half as exact as a mean of torch: SAN then differs from float64 by 4.4e-4.
ONNX_TOLERANCES = {"san": 1e-3}
# At full depth rounding accumulates.
DEEP_TOLERANCE = 1e-4
# Large sums saturate the gates of these, and float32 itself is then far from float64.
GATED = ("drn_l", "drn_s", "rcan", "san")


def export_and_verify(
    net: Network, format_name: str, folder: Path, worker: Worker, tolerance: float = TOLERANCE, *, plain: bool = False
) -> None:
    """Export the network optimized, or `plain`, and compare the file with the plain network."""
    request = ExportConfig(formats=(format_name,), out=folder)
    exported = net if plain else optimize(net)
    shapes = network_shapes(exported, request)
    path = folder / f"artifact{FORMATS[format_name].suffix}"
    write_artifact(exported, path, request, reference=net)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "verification_shapes", at_random)
        references = References(net, shapes, folder)
    result = worker.verify(path, references, tolerance)
    assert result.problem is None
    assert len({tuple(case.shape) for case in result.cases}) >= 4
    if format_name == "onnx":
        assert tensorrt_findings(path) == []


def at_random(shapes: Shapes) -> list[tuple[int, int, int, int]]:
    """The shapes that every export is compared at, and two of random batch, height and width."""
    found = verification_shapes(shapes)
    for _ in range(2):
        batch, *steps = torch.randint(0, 12, (3,)).tolist()
        sides = [low + step * shapes.multiple for low, step in zip(shapes.minimum[2:], steps, strict=True)]
        found.append((1 + batch % 4, shapes.minimum[1], *sides))
    return found


def tolerance_of(name: str, format_name: str) -> float:
    own = ONNX_TOLERANCES.get(name) if format_name == "onnx" else None
    return own or TOLERANCES.get(name, TOLERANCE)


def at_full_depth(name: str) -> Network:
    if name in GATED:
        return trained_alike(create_network(name, value_range=1.0), gain=0.4)
    return trained_alike(create_network(name))


@pytest.fixture(params=PORTABLE)
def format_name(request: pytest.FixtureRequest) -> str:
    """A format that runs everywhere."""
    return request.param


# torch.export takes half a minute for SAN's quarters; the typed ONNX has them too.
@pytest.mark.one_of_each_class(but=["san"])
def test_artifact_equals_the_network_at_several_sizes(
    spec: NetworkSpec, format_name: str, tmp_path: Path, worker: Worker
) -> None:
    net = filled(create_network(spec.name, scale=min(spec.scales), **spec.reduced, **narrow_arguments(spec)))
    export_and_verify(net, format_name, tmp_path, worker, tolerance_of(spec.name, format_name))


@pytest.mark.slow
@pytest.mark.parametrize("plain", [False, True], ids=["optimized", "plain"])
def test_artifact_of_every_scale_equals_the_network(
    spec: NetworkSpec, scale: int, plain: bool, format_name: str, tmp_path: Path, worker: Worker
) -> None:
    net = filled(create_network(spec.name, scale=scale, **spec.reduced))
    export_and_verify(net, format_name, tmp_path, worker, tolerance_of(spec.name, format_name), plain=plain)


@pytest.mark.slow
@pytest.mark.parametrize("format_name", PORTABLE)
@pytest.mark.parametrize("deep", [spec for spec in network_specs() if spec.reduced], ids=lambda spec: spec.name)
def test_full_depth_artifact_equals_the_network(
    deep: NetworkSpec, format_name: str, tmp_path: Path, worker: Worker
) -> None:
    export_and_verify(at_full_depth(deep.name), format_name, tmp_path, worker, DEEP_TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("deep", [spec for spec in network_specs() if spec.reduced], ids=lambda spec: spec.name)
def test_a_small_change_in_the_middle_of_the_full_depth_is_far_above_the_tolerance(deep: NetworkSpec) -> None:
    net = at_full_depth(deep.name)
    lr = torch.rand(1, net.image_channels, 17, 23)
    with torch.no_grad():
        before = net(lr)
        layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)]
        layers[len(layers) // 2].weight *= 1.01
        assert relative_error(net(lr), before) > 5 * DEEP_TOLERANCE


@pytest.mark.parametrize("format_name", PORTABLE)
def test_a_static_artifact_takes_its_one_shape(format_name: str, tmp_path: Path, worker: Worker) -> None:
    net = filled(create_network("espcn", scale=3))
    request = ExportConfig(formats=(format_name,), out=tmp_path, shape=(1, 1, 9, 14))
    shapes = network_shapes(net, request)
    path = tmp_path / f"static{FORMATS[format_name].suffix}"
    write_artifact(net, path, request)
    result = worker.verify(path, References(net, shapes, tmp_path), TOLERANCE)
    assert result.problem is None
    assert [case.shape for case in result.cases] == [[1, 1, 9, 14]]


@pytest.mark.parametrize("format_name", PORTABLE)
def test_sizes_that_must_be_multiples_stay_dynamic_and_others_are_refused(
    format_name: str, tmp_path: Path, worker: Worker
) -> None:
    (report,) = export_network(Unshuffled(), ExportConfig(formats=(format_name,), out=tmp_path))
    assert report.error is None
    assert report.path is not None
    artifact = load(report.path)
    assert artifact(torch.rand(3, 1, 6, 10)).shape == (3, 1, 12, 20)
    assert artifact.shapes.minimum == (1, 1, 4, 4)
    with pytest.raises(InputError, match=r"height 7 is not a multiple of 2; use 1..x1x4..x4.. in multiples of 2"):
        artifact(torch.rand(1, 1, 7, 8))
    with pytest.raises(InputError, match=r"height 2 is outside 4..any"):
        artifact(torch.rand(1, 1, 2, 8))


@pytest.mark.parametrize("format_name", PORTABLE)
def test_ranges_that_are_asked_for_hold(format_name: str, tmp_path: Path, worker: Worker) -> None:
    net = filled(create_network("edsr_baseline", depth=1))
    request = ExportConfig(formats=(format_name,), out=tmp_path, minimum=(1, 3, 8, 8), maximum=(4, 3, 20, 40))
    shapes = network_shapes(net, request)
    path = tmp_path / f"ranged{FORMATS[format_name].suffix}"
    write_artifact(net, path, request)
    result = worker.verify(path, References(net, shapes, tmp_path), TOLERANCE)
    assert result.problem is None
    shapes_compared = [tuple(case.shape) for case in result.cases]
    assert shapes_compared == [(1, 3, 20, 30), (2, 3, 20, 40), (1, 3, 20, 19), (1, 3, 8, 8), (4, 3, 20, 40)]

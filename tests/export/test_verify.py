"""Verification: wrong outputs are found, and a rejected artifact never has its final name."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

from helpers.support import PORTABLE, filled
from srblocks import create_network
from srblocks.network import Network
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS, WriteContext
from srblocks_export.formats.onnx import exporter as onnx_format
from srblocks_export.manifest import FILE, CaseInfo, describe
from srblocks_export.plan import network_shapes
from srblocks_export.report import exit_code
from srblocks_export.shapes import Shapes
from srblocks_export.verification.compare import compare
from srblocks_export.verification.inputs import References, rejected_shapes, verification_shapes
from srblocks_export.verification.process import Worker

pytestmark = pytest.mark.usefixtures("one_verifier")


@pytest.fixture
def net() -> Network:
    return filled(create_network("espcn", scale=2))


def sabotage(monkeypatch: pytest.MonkeyPatch, change) -> None:
    """Make the ONNX format write a model with one initializer changed."""
    original = onnx_format.write

    def write(net, path, context):
        details = original(net, path, context)
        model = onnx.load(path)
        weights = model.graph.initializer[0]
        weights.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(weights).copy()), weights.name))
        onnx.save(model, path)
        return details

    monkeypatch.setattr(onnx_format, "write", write)


def test_wrong_weight_is_found_and_the_file_is_marked_rejected(
    net: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch, lambda weights: weights * 1.01)
    reports = export_network(net, ExportConfig(formats=("onnx", "torchscript"), out=tmp_path))
    assert str(reports[0].error).startswith("E601 onnx: at 1x1x17x23: error ")
    assert exit_code(reports) == 6
    assert reports[1].error is None
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"espcn_x2_fp32_dyn.onnx.rejected", "espcn_x2_fp32_dyn.ts", FILE}
    entries = json.loads((tmp_path / FILE).read_text())["artifacts"]
    assert [entry["artifact"]["format"] for entry in entries] == ["torchscript"]


def test_nan_output_is_found(net: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch, lambda weights: weights * np.float32(np.nan))
    (report,) = export_network(net, ExportConfig(formats=("onnx",), out=tmp_path))
    assert "values are NaN or infinite" in str(report.error)


def test_unloadable_file_is_found(net: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_format, "write", lambda net, path, context: path.write_bytes(b"no model") and {})
    (report,) = export_network(net, ExportConfig(formats=("onnx",), out=tmp_path))
    assert "E901" in str(report.error)
    assert report.error is not None
    assert report.error.exit_code == 6


def test_verification_restarts_a_killed_process(net: Network, tmp_path: Path, worker: Worker) -> None:
    request = ExportConfig(formats=("torchscript",), out=tmp_path)
    shapes = network_shapes(net, request)
    references = References(net, shapes, tmp_path)
    good = tmp_path / "good.ts"
    FORMATS["torchscript"].write(net, good, WriteContext(shapes, describe(net, shapes).to_dict(), request))
    assert worker.verify(good, references, 1e-4).problem is None
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()
    assert worker.verify(good, references, 1e-4).problem is None


class Unexportable(Network):
    """Network that torch.export cannot trace (branches on pixels) and TorchScript cannot compile (`try`)."""

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        try:
            return lr if float(lr.mean()) > 0.5 else -lr
        except ZeroDivisionError:
            return lr


@pytest.mark.parametrize("format_name", PORTABLE)
def test_unsupported_network_is_an_error(format_name: str, tmp_path: Path) -> None:
    net = Unexportable(scale=1, image_channels=1)
    (report,) = export_network(net, ExportConfig(formats=(format_name,), out=tmp_path))
    assert str(report.error).startswith("E502 ")
    assert "Unexportable" in str(report.error)
    assert exit_code([report]) == 5
    assert list(tmp_path.iterdir()) == []


class Unstable(Network):
    """Network that multiplies rounding errors by 1e5 where neighboring pixels differ as much as in noise."""

    def __init__(self) -> None:
        super().__init__(scale=1, image_channels=1)
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        nn.init.dirac_(self.conv.weight)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        contrast = (lr - F.avg_pool2d(lr, 3, 1, 1, count_include_pad=False)).abs()
        return self.conv(lr) + 0.1 * torch.sin(1e5 * F.relu(contrast - 0.25))


def test_unstable_networks_are_compared_on_smooth_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ExportConfig(out=tmp_path)
    (report,) = export_network(Unstable(), config)
    assert report.error is None
    assert report.manifest is not None
    (warning,) = report.manifest.warnings
    assert warning.endswith("on noise; compared on smooth images at 17x23, 31x12")
    sabotage(monkeypatch, lambda weights: weights * 1.01)
    (report,) = export_network(Unstable(), replace(config, name="wrong"))
    assert "of the output's standard deviation is above 1.0e-04" in str(report.error)


def test_verification_shapes_are_diverse() -> None:
    for low in (1, 2, 4, 64, 512):
        shapes = verification_shapes(Shapes((1, 3, low, low), (None, 3, None, None)))
        assert (1, 3, low, low) in shapes
        assert any(batch == 2 for batch, _, _, _ in shapes), low
        assert any(height % 2 for _, _, height, _ in shapes), low
        assert any(width % 2 for _, _, _, width in shapes), low
        assert sum(height != width for _, _, height, width in shapes) >= 3, low


def test_verification_shapes_are_legal_and_rejected_shapes_are_not() -> None:
    for multiple, (low, high) in itertools.product((1, 2, 3, 8), ((8, None), (24, 48), (24, 24))):
        if low % multiple == 0:
            shapes = Shapes((1, 1, low, low * 2), (3, 1, high, high and high * 2), multiple)
            assert [shape for shape in verification_shapes(shapes) if shapes.problem(shape)] == [], shapes
            assert [shape for shape in rejected_shapes(shapes) if not shapes.problem(shape)] == [], shapes


def test_compare_measures_error_relative_to_spread() -> None:
    reference = np.zeros((1, 1, 2, 2))
    found = compare(np.full((1, 1, 2, 2), 0.1, np.float32), reference, spread=2.0)
    assert found.max_error == pytest.approx(0.05)
    assert found.psnr_db == pytest.approx(20, abs=1e-5)
    assert (
        compare(np.zeros((1, 1, 4, 4)), reference, spread=1.0).problem
        == "output is (1, 1, 4, 4) instead of (1, 1, 2, 2)"
    )
    assert compare(reference.astype(np.float32), reference, spread=1.0) == CaseInfo([1, 1, 2, 2], 0.0)

"""Any module, exported; and images of any size, upscaled by artifacts that need multiples."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.support import PORTABLE, Unshuffled
from srblocks import as_network
from srblocks.errors import ArgumentError
from srblocks_export.config import ExportConfig
from srblocks_export.errors import InputError
from srblocks_export.export import export_network
from srblocks_export.formats.tensorrt.trt_engine import BuildOptions
from srblocks_export.runtime import load

pytestmark = pytest.mark.usefixtures("one_verifier")


class Foreign(nn.Module):
    """A module whose tensors depend on the size of the image, which no program with dynamic sizes can."""

    def __init__(self, *, fixed: bool) -> None:
        super().__init__()
        self.fixed = fixed
        self.body = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, lr: Tensor) -> Tensor:
        mask = torch.tensor([float(int(lr.shape[2]))]) if self.fixed else torch.ones(1)
        return self.body(lr) * mask


@pytest.mark.parametrize("format_name", PORTABLE)
def test_images_of_any_size_are_padded_by_reflection(format_name: str, tmp_path: Path) -> None:
    net = Unshuffled().eval()
    (report,) = export_network(net, ExportConfig(formats=(format_name,), out=tmp_path))
    assert report.path is not None, report.error
    artifact = load(report.path)
    for height, width in ((17, 23), (16, 23), (3, 4)):
        lr = torch.rand(2, 1, height, width)
        padded = np.pad(lr.numpy(), [(0, 0), (0, 0), (0, height % 2), (0, width % 2)], mode="reflect")
        expected = net(torch.from_numpy(padded))[..., : 2 * height, : 2 * width].detach()
        torch.testing.assert_close(artifact(lr), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(artifact(lr.numpy()), artifact(lr).numpy())
    with pytest.raises(InputError, match="E202"):
        artifact(torch.rand(1, 1, 1, 8))


def test_any_module_is_exported(tmp_path: Path) -> None:
    module = Foreign(fixed=False)
    (report,) = export_network(module, ExportConfig(out=tmp_path), scale=2)
    assert report.path is not None, report.error
    lr = torch.rand(1, 3, 5, 9)
    torch.testing.assert_close(load(report.path)(lr), module(lr).detach(), rtol=1e-5, atol=1e-5)
    (entry,) = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]
    assert entry["model"]["name"] == "Foreign"


def test_a_module_for_one_size_is_exported_for_that_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srblocks_export.formats.base.cxx_compiler", lambda: None)
    config = ExportConfig(formats=("aoti", "onnx"), out=tmp_path)
    unavailable, report = export_network(Foreign(fixed=True), config, scale=2)
    assert unavailable.error is not None
    assert unavailable.error.number == 403
    assert report.path is not None, report.error
    artifact = load(report.path)
    assert artifact.shapes.static
    assert report.manifest is not None
    (warning,) = [each for each in report.manifest.warnings if "--shape" in each]
    assert warning.startswith("warning: onnx accepts only 1x3x64x64, because dynamic sizes fail")
    assert "compiler" not in warning


def test_wrong_statements_about_a_module_are_found() -> None:
    with pytest.raises(ArgumentError, match=r"returns \(1, 3, 32, 34\).*expected \(1, 3, 48, 51\)"):
        as_network(Foreign(fixed=False), scale=3)
    with pytest.raises(ArgumentError, match="fails on images"):
        as_network(Foreign(fixed=False), scale=2, image_channels=1)
    with pytest.raises(TypeError, match="scale="):
        export_network(Foreign(fixed=False))


@pytest.mark.parametrize("given", [("current", "8.6"), ("all",), ("86",)])
def test_wrong_compute_capabilities_are_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="invalid compute capabilit"):
        BuildOptions(compute_capabilities=given)

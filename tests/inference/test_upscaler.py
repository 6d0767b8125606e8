"""Upscalers: tiled and untiled results, and opening of networks, weights and artifacts."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.support import Unshuffled, trained_alike
from srblocks import OnLuma, PostUpsampling, conv, create_network, load_pretrained, on_rgb, save_checkpoint
from srblocks.errors import SRBlocksError
from srblocks.inference import UpscaleError, Upscaler, from_artifact, from_network, open_upscaler
from srblocks.network import Network
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def untiled(net: Network, pixels: np.ndarray) -> np.ndarray:
    """Return the output of the network on the entire image, in float64, not rounded."""
    lr = torch.from_numpy(pixels.astype(np.float64) / np.iinfo(pixels.dtype).max).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return net.double()(lr)[0].permute(1, 2, 0).clamp(0, 1).numpy() * np.iinfo(pixels.dtype).max


def exported(net: Network, folder: Path, *formats: str, **request: object) -> list[Path]:
    reports = export_network(net, ExportConfig(formats=formats, out=folder, verify="off", **request))
    assert [report.error for report in reports] == [None] * len(formats)
    return [report.path for report in reports if report.path]


ESPCN = {
    "y": {},
    "rgb": {"image_channels": 3},
    "ycbcr": {"image_channels": 3, "color": "ycbcr"},
    "other": {"image_channels": 2},
}
"""Color space -> arguments of ESPCN."""


@pytest.fixture(scope="module")
def espcn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Network, Path]]:
    """ESPCN x2 and its TorchScript file by color space."""
    found = {}
    for color, arguments in ESPCN.items():
        net = trained_alike(create_network("espcn", scale=2, **arguments))
        found[color] = net, exported(net, tmp_path_factory.mktemp(color), "torchscript")[0]
    return found


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_match_the_untiled_output(dtype: type) -> None:
    net, pixels = OnLuma(load_pretrained("fsrcnn", scale=2)), noise(90, 131, 3, dtype=dtype)
    upscaled = open_upscaler("fsrcnn", scale=2).upscale(pixels, tile=48)
    assert upscaled.dtype == dtype
    assert np.abs(upscaled - untiled(net, pixels)).max() <= 0.5 + 3e-6 * np.iinfo(dtype).max


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(8, 20))
def test_tiles_match_for_any_image_size(height: int, width: int, tile: int) -> None:
    net = trained_alike(Unshuffled())
    upscaler, pixels = from_network(copy.deepcopy(net), "even sizes"), noise(height, width, 1)
    assert upscaler.radius == 3
    padded = np.pad(pixels, [(0, max(4, side + side % 2) - side) for side in (height, width)] + [(0, 0)], "reflect")
    expected = untiled(net, padded)[: 2 * height, : 2 * width]
    assert np.abs(upscaler.upscale(pixels, tile=tile) - expected).max() <= 0.5 + 1e-3


def test_tiling_error() -> None:
    net = trained_alike(create_network("rcan", scale=2, width=8, groups=1, blocks_per_group=1, reduction=4))
    upscaler, pixels = from_network(net, "rcan"), noise(100, 140, 3)
    assert upscaler.radius is None
    assert upscaler.is_exact((100, 140), tile=140)
    assert not upscaler.is_exact((100, 140), tile=100)
    height, width, tile, largest, decibels = upscaler.tiling_error(pixels[:, :60], tile=96)
    assert (height, width, tile) == (96, 60, 48)
    assert upscaler.tiling_error(pixels[:40, :40], tile=96) is None
    assert 0 < largest < 1
    assert 5 < decibels < 120
    exact = open_upscaler("fsrcnn", scale=2)
    assert exact.is_exact((100, 140), tile=64)
    assert not exact.is_exact((100, 140), tile=64, halo=2)
    assert exact.tiling_error(pixels, tile=96) == (96, 96, 48, 0, np.inf)
    assert exact.tiling_error(pixels, tile=96, halo=0).psnr < 60


def test_artifacts_are_tiled_like_networks(espcn: dict[str, tuple[Network, Path]]) -> None:
    pixels = noise(61, 90, 3)
    for color in ("y", "rgb", "ycbcr"):
        net, path = espcn[color]
        upscaler = open_upscaler(path)
        assert upscaler.radius == 4
        shapes: list[tuple[int, ...]] = []

        def run(batch: np.ndarray, upscaler: Upscaler = upscaler, shapes: list[tuple[int, ...]] = shapes) -> np.ndarray:
            shapes.append(batch.shape)
            return upscaler.run(batch)

        found = dataclasses.replace(upscaler, run=run).upscale(pixels, tile=64)
        assert set(shapes) == {(1, 3, 61, 64)}, color
        assert np.abs(found - untiled(on_rgb(copy.deepcopy(net)), pixels)).max() <= 0.5 + 1e-3, color
        assert from_artifact(path).color == ("y" if color == "y" else "rgb")


def test_static_artifacts_upscale_images_of_any_size(tmp_path: Path) -> None:
    net, pixels = load_pretrained("fsrcnn", scale=2), noise(70, 30, 3)
    (path,) = exported(net, tmp_path, "torchscript", shape=(2, 1, 40, 48))
    upscaler = open_upscaler(path)
    assert upscaler.tiling_error(noise(70, 90, 3)) is None
    assert (upscaler.min_size, upscaler.max_size) == ((40, 48), (40, 48))
    padded = np.pad(pixels, [(0, 0), (0, 18), (0, 0)], "reflect")
    expected = untiled(OnLuma(net), padded)[:, :60]
    assert np.abs(upscaler.upscale(pixels) - expected).max() <= 0.5 + 1e-3


def test_manifests_record_the_radius(tmp_path: Path) -> None:
    networks = [create_network("rcan", scale=2, width=16, groups=1, blocks_per_group=1), Unshuffled()]
    found = [runtime.load(exported(net, tmp_path, "torchscript", name=str(i))[0]) for i, net in enumerate(networks)]
    assert [artifact.receptive_radius for artifact in found] == [None, 3]


def test_radius_includes_chroma_interpolation(tmp_path: Path) -> None:
    slots = {"head": conv(1, 4, 1), "body": nn.Identity(), "upsampler": nn.PixelShuffle(2), "tail": nn.Identity()}
    (path,) = exported(PostUpsampling(scale=2, image_channels=1, **slots), tmp_path, "torchscript")
    assert from_artifact(path).radius == 0
    assert open_upscaler(path).radius == 2


def test_static_artifacts_must_be_larger_than_their_halo(tmp_path: Path) -> None:
    (path,) = exported(load_pretrained("fsrcnn", scale=2), tmp_path, "torchscript", shape=(1, 1, 40, 16))
    with pytest.raises(
        UpscaleError, match="accepts 40x16 pixels, but tiles must be at least 17x17; export it for larger"
    ) as caught:
        open_upscaler(path).check_tile(None)
    assert caught.value.exit_code == 8


def test_minimum_tile_is_a_size_multiple() -> None:
    upscaler = Upscaler("thirds", lambda batch: batch, 1, "y", size_multiple=3, radius=32)
    upscaler.check_tile(69)
    with pytest.raises(UpscaleError, match="tile must be at least 69 for thirds, got 68"):
        upscaler.check_tile(68)


def test_open_names_and_weights_at_a_scale(tmp_path: Path) -> None:
    assert open_upscaler("fsrcnn").scale == 2
    assert open_upscaler("fsrcnn_x4").scale == 4
    assert open_upscaler("fsrcnn", scale=3, color="y").color == "y"
    save_checkpoint(create_network("vdsr", scale=1, depth=2, width=4), tmp_path / "net.safetensors")
    assert open_upscaler(tmp_path / "net.safetensors", scale=3).scale == 3
    with pytest.raises(SRBlocksError, match="weights of vdsr support any scale; pass the scale") as caught:
        open_upscaler(tmp_path / "net.safetensors")
    assert caught.value.exit_code == 2


def test_model_errors(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("not weights")
    for model, options, code, message in (
        ("fsrcn", {}, 2, "did you mean fsrcnn"),
        ("rcan", {}, 2, "no bundled weights for rcan; available: fsrcnn_x2, .* pass a weights file"),
        ("fsrcnn", {"scale": 5}, 2, "fsrcnn does not support scale 5; use 2, 3, 4"),
        ("fsrcnn_x2", {"scale": 3}, 2, "fsrcnn_x2 has scale 2, not 3"),
        ("fsrcnn", {"color": "red"}, 2, "color must be rgb or y, got 'red'"),
        ("fsrcnn", {"device": "cuda:77"}, 4, "device cuda:77 is not available; use cpu"),
        ("{tmp}", {}, 2, "model must be a name or a file, got the folder"),
        ("missing.onnx", {}, 9, "no such file: missing.onnx"),
        ("missing.onnx", {"weights": "net.pth"}, 2, "missing.onnx is an artifact, which includes weights"),
        ("missing.onnx", {"device": "cuda"}, 2, "runs on the device that it was exported for"),
        ("https://example.org/net.pth", {}, 2, "model must be a name or a local file, got https.*download the file"),
        ("missing.pth", {"weights": "net.pth"}, 2, "two weights files: missing.pth and net.pth"),
        ("{tmp}/text.safetensors", {}, 9, "text.safetensors: corrupt or truncated safetensors file"),
    ):
        with pytest.raises(SRBlocksError, match=message) as caught:
            open_upscaler(model.format(tmp=tmp_path), **options)
        assert caught.value.exit_code == code, model


def test_artifact_scale_and_color_errors(espcn: dict[str, tuple[Network, Path]]) -> None:
    for color, options, message in (
        ("y", {"scale": 3}, r"\.ts has scale 2, not 3; use scale 2"),
        ("rgb", {"color": "y"}, r"\.ts works on rgb images, not on y"),
        ("other", {}, r"\.ts works on unknown color space 'other'; export it with --color rgb"),
    ):
        with pytest.raises(SRBlocksError, match=message) as caught:
            open_upscaler(espcn[color][1], **options)
        assert caught.value.exit_code == 2, color


def test_custom_upscaler() -> None:
    nearest = Upscaler("nearest", lambda batch: batch.repeat(3, 2).repeat(3, 3), 3, "rgb", radius=0, tile=16)
    pixels = noise(40, 25, 3, dtype=np.uint16)
    assert np.array_equal(nearest.upscale(pixels), pixels.repeat(3, 0).repeat(3, 1))
    with pytest.raises(ValueError, match="tile must be at least 41 for a halo of 20 pixels"):
        nearest.upscale(pixels, halo=20)

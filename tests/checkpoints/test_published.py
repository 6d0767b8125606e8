"""Published weights reproduce the authors' outputs and the published PSNR, eager and exported."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import published
from helpers.support import PORTABLE, REPOSITORY, generated, run
from srblocks import ESPCN, PixelShuffleUp, PostUpsampling, conv, load_checkpoint
from srblocks.evaluate import evaluate, image_files, means
from srblocks.inference import from_artifact
from srblocks_export.formats import FORMATS
from srblocks_export.runtime import load

GOLDENS = {
    "vdsr_twtygqyy": ("converted_vdsr_twtygqyy.pth", None),
    "lapsrn_twtygqyy_x4": ("converted_lapsrn_twtygqyy.pth", 4),
    "carn_m_x2": ("carn_m.pth", 2),
    "carn_m_x4": ("carn_m.pth", 4),
    "srgan_leftthomas_x2": ("srgan_leftthomas_netG_epoch_2_100_a.pth", 2),
}
DOCUMENT = (REPOSITORY / "docs" / "networks.md").read_text()
PSNR = {
    "VDSR, twtygqyy": {2: 37.653, 3: 33.773, 4: 31.453},
    "LapSRN, twtygqyy (x4; x2 is its first level)": {2: 37.368, 4: 31.645},
    "LapSRN, twtygqyy": {4: 28.268},
    "DRCN, jiny2001 (96 features, 9 recursions)": {2: 37.409},
    "CARN-M, the authors": {2: 37.678, 3: 34.058, 4: 31.883},
    "SRGAN, leftthomas": {2: 35.47, 4: 30.65},
    "IMDN, NTIRE 2022": {4: 32.2468},
    "RFDN, NTIRE 2022": {4: 32.1589},
    "RLFN, NTIRE 2022": {4: 32.0973},
    "RLFN-S, the authors": {2: 38.0471},
    "EFDN, NTIRE 2022": {4: 32.0758},
    "FMEN, the authors": {4: 32.1153},
    "BSRN, the authors": {2: 38.083},
    "SAFMN++ light, the authors (for AVIF images)": {4: 30.429},
    "SPAN of 28 channels, NTIRE 2024": {4: 31.7391},
    "SPANF, NTIRE 2025": {4: 31.7746},
    "Compact, Real-ESRGAN animevideov3 (for anime)": {4: 28.25},
}
SLOW = ("VDSR, twtygqyy", "LapSRN, twtygqyy", "DRCN, jiny2001 (96 features, 9 recursions)")


@pytest.fixture(params=GOLDENS)
def golden(request: pytest.FixtureRequest, data: Path) -> tuple[Path, int | None, Tensor, Tensor]:
    """Return a weights file, the scale, an image, and the output of the authors' code."""
    file, scale = GOLDENS[request.param]
    with np.load(data / "goldens" / f"{request.param}.npz") as arrays:
        return data / "weights" / file, scale, torch.from_numpy(arrays["input"]), torch.from_numpy(arrays["output"])


def test_published_weights_reproduce_the_authors_output(golden: tuple[Path, int | None, Tensor, Tensor]) -> None:
    weights, scale, image, expected = golden
    with torch.no_grad():
        torch.testing.assert_close(load_checkpoint(weights, scale=scale)(image), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_every_format_reproduces_the_authors_output(
    golden: tuple[Path, int | None, Tensor, Tensor], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    weights, scale, image, expected = golden
    given = ["--scale", str(scale)] if scale else []
    flags = [*given, *(f"--{name}" for name in PORTABLE), "--verify", "one", "--name", "net", "-q"]
    code, _, err = run(capsys, weights, *flags, "-o", tmp_path)
    assert code == 0, err
    for name in PORTABLE:
        artifact = load(tmp_path / f"net{FORMATS[name].suffix}")
        torch.testing.assert_close(artifact(image), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "row,scale",
    [
        pytest.param(row, scale, marks=pytest.mark.slow if row.title in SLOW else ())
        for row in published.ROWS
        for scale in row.files
    ],
    ids=lambda value: getattr(value, "title", f"x{value}"),
)
def test_the_published_psnr_is_reproduced_and_documented(row: published.Row, scale: int, data: Path) -> None:
    result = published.measure(data, row, scale)
    assert result["psnr"] == pytest.approx(PSNR[row.title][scale], abs=0.01)
    table = {line.split("|")[1].strip(): line.split("|")[3:6] for line in generated("published", DOCUMENT).splitlines()}
    assert table[row.title][scale - 2].strip() == published.cell(result)


@pytest.mark.slow
@pytest.mark.parametrize(
    "weights,scale,expected",
    [
        (published.VDSR, 3, 33.7733),
        (published.CARN_M, 4, 31.8831),
        ("modern/span_ch28_ntire2024_x4.pth", 4, 31.739),
        ("modern/rlfn_ntire2022_x4.pth", 4, 32.0973),
        ("modern/efdn_ntire2022_x4.pth", 4, 32.0758),
        ("modern/bsrn_x2.pth", 2, 38.083),
        ("modern/light_safmnpp_x4.pth", 4, 30.429),
    ],
)
def test_exports_have_the_same_psnr(
    weights: str, scale: int, expected: float, capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
) -> None:
    file = data / "weights" / weights
    code, _, err = run(capsys, file, "--scale", scale, "--onnx", "--torchscript", "--name", "net", "-o", tmp_path, "-q")
    assert code == 0, err
    for suffix in (".onnx", ".ts"):
        scores = list(evaluate(from_artifact(tmp_path / f"net{suffix}"), image_files(data / "images" / "Set5")))
        assert means(scores).psnr == pytest.approx(expected, abs=0.001)


def test_modern_weights_reproduce_the_authors_output(data: Path) -> None:
    """On noise, where float32 alone can be far from float64, and on a photograph."""
    recorded = json.loads((data / "weights" / "modern" / "manifest.json").read_text())
    assert len(recorded) > 10
    for name, entry in recorded.items():
        net = load_checkpoint(data / "weights" / "modern" / entry["file"])
        with np.load(data / "goldens" / "modern" / entry["golden"]) as golden, torch.inference_mode():
            for suffix in ("", "_picture"):
                expected = torch.from_numpy(golden[f"output{suffix}"]).double()
                found = net.double()(torch.from_numpy(golden[f"input{suffix}"]).double())
                error = float((found - expected).abs().max() / expected.std())
                assert error < max(1e-5, 3 * entry[f"golden_float32_error{suffix}"]), (name, suffix)


@pytest.fixture
def tutorial(data: Path) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Return the initializers of the PyTorch tutorial file, an image, and the output of onnxruntime."""
    import onnx

    model = onnx.load(data / "weights" / "espcn_pytorch_tutorial_super_resolution_x3.onnx")
    state = {each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy()) for each in model.graph.initializer}
    with np.load(data / "goldens" / "espcn_tutorial_x3_ort.npz") as arrays:
        image, expected = torch.from_numpy(arrays["input"]), torch.from_numpy(arrays["output"])
    return state, image, expected


def test_a_network_of_blocks_loads_initializers_of_an_onnx_file(
    tutorial: tuple[dict[str, Tensor], Tensor, Tensor],
) -> None:
    state, image, expected = tutorial
    net = PostUpsampling(
        scale=3,
        image_channels=1,
        head=nn.Sequential(conv(1, 64, 5), nn.ReLU()),
        body=nn.Sequential(conv(64, 64), nn.ReLU(), conv(64, 32), nn.ReLU()),
        upsampler=PixelShuffleUp(32, 3, out_channels=1, stepwise=False),
        tail=nn.Identity(),
    )
    places = {"conv1": "head.0", "conv2": "body.0", "conv3": "body.2", "conv4": "upsampler.0"}
    renamed = {f"{places[name.partition('.')[0]]}.{name.partition('.')[2]}": state[name] for name in state}
    net.load_state_dict(renamed)
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(image), expected, rtol=1e-4, atol=1e-5)


def test_pytorch_tutorial_weights_load(tutorial: tuple[dict[str, Tensor], Tensor, Tensor], tmp_path: Path) -> None:
    state, image, expected = tutorial
    torch.save(state, tmp_path / "tutorial.pth")
    net = load_checkpoint(tmp_path / "tutorial.pth")
    assert isinstance(net, ESPCN)
    with torch.no_grad():
        torch.testing.assert_close(net(image), expected, rtol=1e-4, atol=1e-5)

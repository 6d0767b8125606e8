"""The training example: it learns, its checkpoint resumes, and invalid input is one error."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.support import REPOSITORY, authors_state
from srblocks import load_checkpoint, optimize
from srblocks.pretrained import pretrained_path

SCRIPT = REPOSITORY / "examples/train.py"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images with edges in many directions."""
    folder = tmp_path_factory.mktemp("images")
    rows, columns = np.mgrid[0:96, 0:120]
    for number in range(2):
        waves = np.sin(0.02 * (rows - 40 * number) ** 2 / 10 + columns / 5) > 0
        Image.fromarray(np.stack([waves * 200 + 20] * 3, 2).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs the example in this process."""
    spec = importlib.util.spec_from_file_location("train_example", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        script.main()

    return run


def arguments_of(images: Path, out: Path, *arguments: str) -> list[str]:
    """Return the arguments of a small run."""
    folders = ["--data", str(images), "--validate", str(images), "--out", str(out)]
    few = ["--batch", "4", "--patch", "12", "--ema", "0.9"]
    return ["fsrcnn", "--scale", "2", "--device", "cpu", *folders, *few, *arguments]


def test_training_learns_and_saves_a_network_that_loads(
    images: Path, tmp_path: Path, example: Callable[..., None]
) -> None:
    example(*arguments_of(images, tmp_path, "--steps", "90", "--every", "30", "--threads", "1"))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [30, 60, 90]
    assert log[-1]["psnr"] > log[0]["psnr"] + 1
    net = load_checkpoint(tmp_path / "model.safetensors")
    assert (net.scale, net.config["width"]) == (2, 56)


def test_reparameterized_network_trains_and_is_fused(
    images: Path, tmp_path: Path, example: Callable[..., None]
) -> None:
    steps = ["--arg", "deploy=False", "--arg", "depth=1", "--steps", "60", "--every", "20", "--threads", "1"]
    example("ecbsr", *arguments_of(images, tmp_path, *steps)[1:])
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["psnr"] > log[0]["psnr"]
    fused = optimize(load_checkpoint(tmp_path / "model.safetensors"))
    assert sum(isinstance(module, torch.nn.Conv2d) for module in fused.modules()) == 3


def test_resumed_run_equals_an_uninterrupted_run(images: Path, tmp_path: Path, example: Callable[..., None]) -> None:
    full, parts = tmp_path / "full", tmp_path / "parts"
    example(*arguments_of(images, full, "--steps", "12", "--every", "6"))
    example(*arguments_of(images, parts, "--steps", "12", "--every", "6", "--stop-at", "6"))
    example(*arguments_of(images, parts, "--steps", "12", "--every", "6", "--resume"))
    first, second = (load_checkpoint(folder / "model.safetensors").state_dict() for folder in (full, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_run_is_not_overwritten_or_resumed_as_another_network(
    images: Path, tmp_path: Path, example: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    example(*arguments_of(images, tmp_path, "--steps", "2"))
    before = (tmp_path / "model.safetensors").read_bytes()
    for arguments, message in (
        ([], "already contains a run"),
        (["--resume", "--scale", "3"], "another network or scale"),
    ):
        with pytest.raises(SystemExit):
            example(*arguments_of(images, tmp_path, "--steps", "4", *arguments))
        assert message in capsys.readouterr().err
    assert (tmp_path / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("network,scale", [("carn_m", 3), ("fsrcnn", 3)])
def test_training_starts_from_weights_of_other_layouts_and_scales(
    network: str, scale: int, images: Path, tmp_path: Path, example: Callable[..., None]
) -> None:
    """The authors' CARN-M supports several scales; the layers of the bundled FSRCNN x2 fit x3."""
    if network == "carn_m":
        init = tmp_path / "published.pth"
        torch.save(authors_state("CARN-M g4 multi_scale run at x2"), init)
        expected = load_checkpoint(init, scale=scale)
    else:
        init = pretrained_path(network, scale=2)
        expected = load_checkpoint(init)
    folders = ["--data", str(images), "--init", str(init), "--out", str(tmp_path / "run")]
    few = ["--batch", "1", "--patch", "8", "--steps", "1", "--lr", "1e-9"]
    example(network, "--scale", str(scale), "--device", "cpu", *folders, *few)
    net = load_checkpoint(tmp_path / "run" / "model.safetensors")
    assert (net.scale, net.scales) == (scale, (scale,))
    torch.testing.assert_close(net.state_dict(), expected.state_dict(), rtol=1e-5, atol=1e-8)


def test_validation_images_of_unsupported_size_are_padded(
    images: Path, tmp_path: Path, example: Callable[..., None]
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    Image.open(images / "0.png").crop((0, 0, 30, 26)).save(odd / "0.png")
    folders = ["--data", str(images), "--validate", str(odd), "--out", str(tmp_path / "run")]
    small = ["--arg", "depth=1", "--arg", "width=8", "--batch", "1", "--patch", "4", "--steps", "1"]
    example("csnln", "--scale", "2", "--device", "cpu", *folders, *small)
    assert json.loads((tmp_path / "run" / "log.jsonl").read_text())["psnr"] > 0


def test_invalid_input_is_one_error(
    images: Path,
    tmp_path: Path,
    example: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("broken", "small"):
        (images / name).mkdir()
    (images / "broken" / "0.png").write_bytes(b"not an image")
    Image.new("RGB", (20, 5)).save(images / "small" / "0.png")
    monkeypatch.chdir(images)
    fsrcnn = ("fsrcnn", "--scale", "2")
    for message, *arguments in (
        ("unknown network 'nonesuch'", "nonesuch", "--scale", "2"),
        ("missing-folder", *fsrcnn, "--data", "missing-folder"),
        ("must be an integer >= 1, got 0", *fsrcnn, "--every", "0"),
        ("no image has 1000 pixels per side; use a smaller --patch", *fsrcnn, "--patch", "500"),
        ("--patch must be a multiple of 2 and at least 4, got 7", "csnln", "--scale", "2", "--patch", "7"),
        ("small/0.png: images must have at least 6 pixels per side", *fsrcnn, "--validate", "small"),
        ("broken/0.png: ", *fsrcnn, "--validate", "broken"),
        ("fsrcnn has no argument 'deep'", *fsrcnn, "--arg", "deep=3"),
        ("state.pt", *fsrcnn, "--resume"),
        ("nonsense", *fsrcnn, "--device", "nonsense"),
    ):
        with pytest.raises(SystemExit) as stop:
            example("--data", ".", "--out", str(tmp_path), *arguments)
        assert stop.value.code == 2, arguments
        assert message in capsys.readouterr().err, arguments
        assert not list(tmp_path.iterdir()), arguments

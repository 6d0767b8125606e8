"""The training example: it learns, its checkpoint resumes, and the same seed gives the same weights."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.support import REPOSITORY, authors_state
from srblocks import load_checkpoint
from srblocks.pretrained import pretrained_path

SCRIPT = REPOSITORY / "examples/train.py"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures with edges in many directions."""
    folder = tmp_path_factory.mktemp("images")
    rows, columns = np.mgrid[0:96, 0:120]
    for number in range(2):
        waves = np.sin(0.02 * (rows - 40 * number) ** 2 / 10 + columns / 5) > 0
        Image.fromarray(np.stack([waves * 200 + 20] * 3, 2).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The example, run in this process."""
    spec = importlib.util.spec_from_file_location("train_example", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        script.main()

    return run


def run_of(images: Path, out: Path, *arguments: str) -> list[str]:
    """The arguments of a small run."""
    folders = ["--data", str(images), "--validate", str(images), "--out", str(out)]
    few = ["--batch", "4", "--patch", "12", "--ema", "0.9"]
    return ["fsrcnn", "--scale", "2", "--device", "cpu", *folders, *few, *arguments]


def test_training_learns_and_saves_a_network_that_loads(images: Path, tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, *run_of(images, tmp_path, "--steps", "120", "--every", "40", "--threads", "1")]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [40, 80, 120]
    assert log[-1]["psnr"] > log[0]["psnr"] + 1
    net = load_checkpoint(tmp_path / "model.safetensors")
    assert (net.scale, net.config["width"]) == (2, 56)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    images: Path, tmp_path: Path, example: Callable[..., None]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    example(*run_of(images, whole, "--steps", "12", "--every", "6"))
    example(*run_of(images, parts, "--steps", "12", "--every", "6", "--stop-at", "6"))
    example(*run_of(images, parts, "--steps", "12", "--every", "6", "--resume"))
    first, second = (load_checkpoint(folder / "model.safetensors").state_dict() for folder in (whole, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_is_neither_overwritten_nor_resumed_as_another_network(
    images: Path, tmp_path: Path, example: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    example(*run_of(images, tmp_path, "--steps", "2"))
    before = (tmp_path / "model.safetensors").read_bytes()
    for arguments, message in (
        ([], "already contains a run"),
        (["--resume", "--scale", "3"], "another network or scale"),
    ):
        with pytest.raises(SystemExit):
            example(*run_of(images, tmp_path, "--steps", "4", *arguments))
        assert message in capsys.readouterr().err
    assert (tmp_path / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("network,scale", [("carn_m", 3), ("fsrcnn", 3)])
def test_training_starts_from_weights_of_other_layouts_and_scales(
    network: str, scale: int, images: Path, tmp_path: Path, example: Callable[..., None]
) -> None:
    """The authors' CARN-M serves x3 among others; the bundled FSRCNN is one of x2 whose layers fit."""
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
    example("csnln", "--scale", "2", "--device", "cpu", *folders, "--batch", "1", "--patch", "4", "--steps", "1")
    assert json.loads((tmp_path / "run" / "log.jsonl").read_text())["psnr"] > 0


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["nonesuch", "--scale", "2"], "unknown network 'nonesuch'"),
        (["fsrcnn", "--scale", "2", "--data", "absent-folder"], "absent-folder"),
        (["fsrcnn", "--scale", "2", "--every", "0"], "must be an integer >= 1, got 0"),
        (["fsrcnn", "--scale", "2", "--patch", "500"], "no image has 1000 pixels per side; use a smaller --patch"),
        (["csnln", "--scale", "2", "--patch", "7"], "--patch must be a multiple of 2 and at least 4, got 7"),
        (["fsrcnn", "--scale", "2", "--validate", "small"], "small/0.png: images must have at least 6 pixels per side"),
        (["fsrcnn", "--scale", "2", "--validate", "broken"], "broken/0.png: "),
        (["fsrcnn", "--scale", "2", "--arg", "deep=3"], "fsrcnn has no argument 'deep'"),
        (["fsrcnn", "--scale", "2", "--resume"], "state.pt"),
        (["fsrcnn", "--scale", "2", "--device", "nonsense"], "nonsense"),
    ],
)
def test_invalid_input_ends_with_one_message(
    images: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    example: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("broken", "small"):
        (images / name).mkdir(exist_ok=True)
    (images / "broken" / "0.png").write_bytes(b"no image")
    Image.new("RGB", (20, 5)).save(images / "small" / "0.png")
    monkeypatch.chdir(images)
    with pytest.raises(SystemExit) as stop:
        example("--data", ".", "--out", str(tmp_path), *arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

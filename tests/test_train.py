"""The training example: it learns, its checkpoint resumes, and the same seed gives the same weights."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srblocks import load_checkpoint
from support import REPOSITORY


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures with edges in many directions."""
    folder = tmp_path_factory.mktemp("images")
    rows, columns = np.mgrid[0:96, 0:120]
    for number in range(2):
        waves = np.sin(0.02 * (rows - 40 * number) ** 2 / 10 + columns / 5) > 0
        Image.fromarray(np.stack([waves * 200 + 20] * 3, 2).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


def train(images: Path, out: Path, *arguments: str) -> list[dict[str, float]]:
    """Run the example; give its log."""
    command = [sys.executable, str(REPOSITORY / "examples/train.py"), "fsrcnn", "--scale", "2", "--device", "cpu"]
    command += ["--data", str(images), "--validate", str(images), "--out", str(out), "--batch", "4", "--patch", "12"]
    subprocess.run([*command, "--ema", "0.9", *arguments], check=True, timeout=300, capture_output=True)
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_training_learns_and_saves_a_network_that_loads(images: Path, tmp_path: Path) -> None:
    log = train(images, tmp_path, "--steps", "120", "--every", "40")
    assert [entry["step"] for entry in log] == [40, 80, 120]
    assert log[-1]["psnr"] > log[0]["psnr"] + 1
    net = load_checkpoint(tmp_path / "model.safetensors")
    assert (net.scale, net.config["width"]) == (2, 56)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(images: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(images, whole, "--steps", "12", "--every", "6")
    train(images, parts, "--steps", "12", "--every", "6", "--stop-at", "6")
    train(images, parts, "--steps", "12", "--every", "6", "--resume")
    first, second = (load_checkpoint(folder / "model.safetensors").state_dict() for folder in (whole, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_is_neither_overwritten_nor_resumed_as_another_network(images: Path, tmp_path: Path) -> None:
    train(images, tmp_path, "--steps", "2")
    before = (tmp_path / "model.safetensors").read_bytes()
    for arguments, message in (([], "holds a run already"), (["--resume", "--scale", "3"], "another network or scale")):
        with pytest.raises(subprocess.CalledProcessError) as failure:
            train(images, tmp_path, "--steps", "4", *arguments)
        assert message in failure.value.stderr.decode()
    assert (tmp_path / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["nonesuch", "--scale", "2"], "unknown network 'nonesuch'"),
        (["fsrcnn", "--scale", "2", "--data", "absent-folder"], "absent-folder"),
        (["fsrcnn", "--scale", "2", "--every", "0"], "0 is below 1"),
        (["fsrcnn", "--scale", "2", "--patch", "500"], "no image has 1000 pixels per side; use a smaller --patch"),
        (["fsrcnn", "--scale", "2", "--resume"], "state.pt"),
        (["fsrcnn", "--scale", "2", "--device", "nonsense"], "nonsense"),
    ],
)
def test_wrong_input_is_said(images: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    command = [sys.executable, str(REPOSITORY / "examples/train.py"), "--data", str(images), "--out", str(tmp_path)]
    found = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr

"""The training example in two processes: losses and weights equal those of one process, which can also resume."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.support import REPOSITORY

SCRIPT = REPOSITORY / "examples/train.py"
STEPS = 8
TOLERANCE = 1e-4
"""Relative tolerance of losses: processes add in another order."""

OWN_NETWORK = '''
"""Registers a network with several outputs and an unused layer, and runs the script in the arguments."""

import runpy
import sys

from torch import nn

from srblocks.networks.lapsrn import LapSRN
from srblocks.registry import SizeRequirements, NetworkSpec, register


class Short(LapSRN):
    def __init__(self, *, scale: int = 4) -> None:
        super().__init__(scale=scale, width=16, depth=2)
        self.unused = nn.Conv2d(1, 1, 1)


register(NetworkSpec(name="short", build=Short, paper="", size_requirements={4: SizeRequirements(radius=9)}))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
'''


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images with edges in many directions."""
    folder = tmp_path_factory.mktemp("images")
    rows, columns = np.mgrid[0:80, 0:96]
    for number in range(2):
        waves = np.sin(0.02 * (rows - 40 * number) ** 2 / 10 + columns / 5) > 0
        Image.fromarray(np.stack([waves * 200 + 20] * 3, 2).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def script() -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("train_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments(network: str, images: Path, out: Path, *more: str | Path) -> list[str]:
    """Return the arguments of a run that logs every step."""
    folders = ["--data", images, "--validate", images, "--out", out]
    few = ["--batch", "4", "--patch", "8", "--ema", "0.9", "--every", "1"]
    return [str(each) for each in (network, *folders, *few, *more)]


def run(*command: str | Path | int) -> str:
    """Run a command of this environment on one thread per process; return its output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": path}
    found = subprocess.run(
        [str(each) for each in command], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert found.returncode == 0, found.stderr[-4000:]
    return found.stdout


def run_here(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *command: str) -> None:
    """Run the example in this process."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *command])
    script.main()


def compare(found: Path, expected: Path) -> None:
    """Compare the loss and PSNR of every step, and the final weights, of two runs."""
    assert {path.name for path in found.iterdir()} == {"model.safetensors", "state.pt", "log.jsonl"}
    logs = [[json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] for out in (found, expected)]
    assert [entry["step"] for entry in logs[0]] == [entry["step"] for entry in logs[1]]
    for first, second in zip(*logs, strict=True):
        assert first["loss"] == pytest.approx(second["loss"], rel=TOLERANCE), first["step"]
        assert first["psnr"] == pytest.approx(second["psnr"], abs=1e-3), first["step"]
    states = [torch.load(out / "state.pt", weights_only=True) for out in (found, expected)]
    for part in ("net", "average"):
        torch.testing.assert_close(states[0][part], states[1][part], rtol=TOLERANCE, atol=1e-5)


def test_torchrun_equals_one_process_and_one_process_resumes(
    images: Path, tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    two, one = (
        arguments("fsrcnn_s", images, tmp_path / name, "--scale", "2", "--steps", str(STEPS + 3), "--device", "cpu")
        for name in ("two", "one")
    )
    printed = run("torchrun", "--standalone", "--nproc-per-node", "2", SCRIPT, *two, "--stop-at", STEPS)
    assert [printed.count(f"step {step}: ") for step in range(1, STEPS + 2)] == [1] * STEPS + [0]
    run_here(script, monkeypatch, *two, "--resume")
    run_here(script, monkeypatch, *one)
    compare(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
def test_fabric_trains_several_outputs_and_ignores_unused_layers(images: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN_NETWORK)
    two, one = (
        arguments("short", images, tmp_path / name, "--scale", "4", "--steps", str(STEPS), "--loss", "l2")
        for name in ("two", "one")
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run("fabric", "run", "--devices", "2", "--accelerator", "cpu", "--main-port", port, own, SCRIPT, *two)
    run("python", own, SCRIPT, *one)
    compare(tmp_path / "two", tmp_path / "one")


def test_batch_must_be_a_multiple_of_the_processes(
    images: Path,
    tmp_path: Path,
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script, "join_processes", lambda device: SimpleNamespace(world_size=3))
    with pytest.raises(SystemExit) as stop:
        run_here(script, monkeypatch, *arguments("fsrcnn_s", images, tmp_path, "--scale", "2"))
    assert stop.value.code == 2
    assert "--batch must be a multiple of the 3 processes, got 4" in capsys.readouterr().err

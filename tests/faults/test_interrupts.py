"""Interrupted and killed commands leave no temporary files and no processes."""

import random
import signal
import time
from pathlib import Path

import pytest

from helpers.commands import Commands


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("program", ["export", "upscale"])
def test_interrupted_command_removes_its_temporary_files(
    commands: Commands, images: Path, tmp_path: Path, program: str, number: int
) -> None:
    (tmp_path / "temporary").mkdir()
    options = {
        "export": ["--torchscript", "--pt2", "--onnx"],
        "upscale": [images, "--scale", 4, "--tile", 24],
    }[program]
    process = commands.start(program, *options, "-o", tmp_path / "out", temporary=str(tmp_path / "temporary"))
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.02 * random.random())
    process.kill(number)
    found = process.wait()
    assert found.code == 130
    assert found.err.startswith(f"srblocks-{program}: interrupted; ")
    assert found.err.count("\n") == 1
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_verification_process_ends_when_the_export_is_killed(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()

    def verifying() -> list[Path]:
        """Return the processes of this export, found by its temporary folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if str(tmp_path).encode() in (process / "environ").read_bytes():
                    found.append(process)
            except OSError:  # ended, or of another user
                continue
        return found

    process = commands.start("export", "--torchscript", "-o", tmp_path / "o", temporary=str(tmp_path / "temporary"))
    deadline = time.monotonic() + 120
    while not verifying() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    assert process.wait().code == -signal.SIGKILL
    assert list((tmp_path / "o").glob("[!.]*")) == []
    while verifying() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert verifying() == []

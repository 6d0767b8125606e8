"""Commands killed at any moment: files under their final names are complete, and the next run continues."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from helpers.commands import Commands, Finished, Running
from helpers.support import CASES, needs_torch_export
from srblocks import create_network, load_checkpoint, load_pretrained, save_checkpoint
from srblocks_export.runtime import load

HIDDEN = re.compile(r"\.srblocks-[0-9a-f]{12}-")
STEP = 2 if CASES == 1 else 1
"""Distance of the file accesses at which commands are killed."""
SOURCE = random.Random(0 if CASES == 1 else None)
STEM = "fsrcnn_x2_fp32_dyn"


def killed(start: Callable[[], Running], moments: int, seconds: float) -> Iterator[Finished]:
    """Kill a command at random moments, spread evenly over slightly more than its running time."""
    for moment in range(moments):
        begin = time.monotonic()
        process = start()
        time.sleep(max(0.0, (moment + SOURCE.random()) / moments * 1.05 * seconds - (time.monotonic() - begin)))
        process.kill()
        yield process.wait()


def contents(folder: Path) -> dict[str, str]:
    """Return the hashes of all files except temporary ones."""
    files = [path for path in folder.rglob("*") if path.is_file() and not HIDDEN.match(path.name)]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check_artifacts(folder: Path, *known: dict[str, str]) -> None:
    """Check that every file is known or computes the network's output, and that the manifest matches its files."""
    lr = torch.rand(1, 1, 7, 9)
    with torch.inference_mode():
        expected = load_pretrained("fsrcnn", scale=2)(lr)
    for name, digest in contents(folder).items():
        assert Path(name).stem == STEM or name == "manifest.json"
        if name != "manifest.json" and digest not in [each.get(name) for each in known]:
            torch.testing.assert_close(load(folder / name)(lr), expected, rtol=1e-4, atol=1e-4)
    if (folder / "manifest.json").exists():
        for entry in json.loads((folder / "manifest.json").read_text())["artifacts"]:
            content = (folder / entry["artifact"]["file"]).read_bytes()
            assert entry["artifact"]["bytes"] == len(content)
            assert entry["artifact"]["sha256"] == hashlib.sha256(content).hexdigest()


def check_old_leftovers_are_removed(run: Callable[[], Finished], folder: Path) -> None:
    """Check that the next run ignores temporary files, and removes those older than a day."""
    young, old = (folder / f".srblocks-{digit * 12}-left.bin" for digit in "01")
    for path in (young, old):
        path.write_bytes(b"half a file")
    for path in folder.iterdir():
        if HIDDEN.match(path.name) and path != young:
            os.utime(path, (0, 0))
    found = run()
    assert (found.code, found.err) == (0, "")
    assert [path for path in folder.iterdir() if HIDDEN.match(path.name)] == [young]


@pytest.fixture(scope="module")
def exported(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts of the original network, which differ from those of the optimized one."""
    folder = tmp_path_factory.mktemp("exported")
    formats = ["--onnx", "--torchscript", "--pt2"]
    found = commands.run("export", *formats, "--no-optimize", "--verify", "off", "-q", "-o", folder)
    assert (found.code, found.err) == (0, "")
    return folder


@pytest.mark.parametrize(
    "options,moments",
    [
        (["--torchscript", "--pt2", "--verify", "off"], 5),
        pytest.param(["--onnx", "--verify", "one"], 1, marks=pytest.mark.slow),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_killed_export_leaves_the_old_or_the_new_file(
    commands: Commands, exported: Path, tmp_path: Path, tally: Counter[str], options: list[str], moments: int
) -> None:
    before = contents(exported)

    def run() -> Finished:
        return commands.run("export", *options, "-q", "--force", "-o", tmp_path / "complete")

    start = time.monotonic()
    found = run()
    assert (found.code, found.err) == (0, "")
    seconds = time.monotonic() - start
    rounds = iter(range(10**6))

    def begin() -> Running:
        out = tmp_path / f"out{next(rounds)}"
        if SOURCE.random() < 0.7:
            shutil.copytree(exported, out)
        return commands.start("export", *options, "-q", "--force", "-o", out)

    codes = Counter(found.code for found in killed(begin, moments * CASES, seconds))
    assert set(codes) <= {-signal.SIGKILL, 0}
    assert codes[-signal.SIGKILL]
    tally["commands killed"] += codes[-signal.SIGKILL]
    complete = contents(tmp_path / "complete")
    for out in tmp_path.glob("out*"):
        check_artifacts(out, before, complete)
    check_old_leftovers_are_removed(run, tmp_path / "complete")


@needs_torch_export
@pytest.mark.parametrize("existing", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_export_killed_at_any_file_access_leaves_complete_files(
    commands: Commands, exported: Path, tmp_path: Path, tally: Counter[str], existing: bool
) -> None:
    code, access = -signal.SIGKILL, 0
    while code == -signal.SIGKILL:
        access += STEP
        out = tmp_path / f"out{access}"
        if existing:
            shutil.copytree(exported, out)
        options = ["--torchscript", "--verify", "off", "-q", "--force", "-o", out]
        code = commands.run("export", *options, die_at=access, below=str(out)).code
        tally["commands killed"] += code == -signal.SIGKILL
        if out.exists():
            check_artifacts(out, contents(exported))
    assert (code, access > 6) == (0, True)


def test_killed_upscaling_leaves_complete_images_and_resumes(
    commands: Commands, images: Path, tmp_path: Path, tally: Counter[str]
) -> None:
    assert commands.run("upscale", images, "-o", tmp_path / "complete", "-q").code == 0
    start = time.monotonic()
    assert commands.run("upscale", images, "-o", tmp_path / "again", "-q").code == 0
    seconds = time.monotonic() - start
    complete, rounds = contents(tmp_path / "complete"), iter(range(10**6))
    assert contents(tmp_path / "again") == complete

    def begin() -> Running:
        return commands.start("upscale", images, "-o", tmp_path / f"out{next(rounds)}", "-q")

    for number, found in enumerate(killed(begin, 3 * CASES, seconds)):
        assert found.code in (-signal.SIGKILL, 0)
        tally["commands killed"] += found.code == -signal.SIGKILL
        out = tmp_path / f"out{number}"
        finished = {name: (out / name).stat().st_mtime_ns for name in contents(out)}
        assert contents(out).items() <= complete.items()
        assert commands.run("upscale", images, "-o", out, "-q", "--resume").code == 0
        assert contents(out) == complete
        assert {name: (out / name).stat().st_mtime_ns for name in finished} == finished
    check_old_leftovers_are_removed(lambda: commands.run("upscale", images, "-o", out, "-q", "--force"), out)


def test_upscaling_killed_at_any_file_access_leaves_complete_images(
    commands: Commands, images: Path, tmp_path: Path, tally: Counter[str]
) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    sources = [images / "a.png", images / "b.jpg"]
    assert commands.run("upscale", *sources, "-o", new, "-q").code == 0
    assert commands.run("upscale", *sources, "-o", old, "-q", "--scale", 3).code == 0
    before, after = contents(old), contents(new)
    code, access = -signal.SIGKILL, 0
    while code == -signal.SIGKILL:
        access += STEP
        out = tmp_path / f"out{access}"
        shutil.copytree(old, out)
        code = commands.run("upscale", *sources, "-o", out, "-q", "--force", die_at=access, below=str(out)).code
        tally["commands killed"] += code == -signal.SIGKILL
        assert all(digest in (before[name], after[name]) for name, digest in contents(out).items())
        assert len(contents(out)) == len(after)
    assert (code, access > 6) == (0, True)


def test_killed_evaluation_leaves_no_files(
    commands: Commands, images: Path, tmp_path: Path, tally: Counter[str]
) -> None:
    before = contents(images)
    for name in ("temporary", "current"):
        (tmp_path / name).mkdir()

    def begin() -> Running:
        options = ["--data", images, "--scale", 2, "--json"]
        return commands.start("evaluate", *options, temporary=str(tmp_path / "temporary"))

    start = time.monotonic()
    assert begin().wait().code == 0
    seconds = time.monotonic() - start
    for found in killed(begin, 2 * CASES, seconds):
        assert found.code in (-signal.SIGKILL, 0)
        tally["commands killed"] += found.code == -signal.SIGKILL
        assert (contents(images), list((tmp_path / "temporary").iterdir())) == (before, [])


def keep_saving(path: str) -> None:
    """Save two networks under one name alternately, forever."""
    nets = [create_network("espcn", scale=scale) for scale in (2, 3)]
    while True:
        for net in nets:
            save_checkpoint(net, path)


def test_process_killed_while_saving_leaves_a_complete_checkpoint(
    commands: Commands, tmp_path: Path, tally: Counter[str]
) -> None:
    path = tmp_path / "net.safetensors"
    for _ in range(2 * CASES):
        process = commands.start("call", Path(__file__), "keep_saving", path)
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(SOURCE.random() * 0.1)
        process.kill()
        assert process.wait().code == -signal.SIGKILL
        tally["commands killed"] += 1
        assert load_checkpoint(path).scale in (2, 3)
        path.unlink()
    assert {path.suffix for path in tmp_path.iterdir()} <= {".safetensors"}

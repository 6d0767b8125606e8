"""Disks that are full or read-only: the documented exit code, one line, and nothing lost."""

import os
from pathlib import Path

import pytest

from helpers.commands import Commands, Finished
from srblocks import create_network, save_checkpoint
from srblocks.inference.images import read_image
from srblocks_export.runtime import load

FULL = "No space left on device"
QUICK = {"--torchscript": ".ts", "--pt2": ".pt2"}


@pytest.fixture
def small(commands: Commands) -> Path:
    """A disk of 1 MiB, empty; as the server sees it."""
    if not commands.can_mount:
        pytest.skip("mounting a small disk is not allowed here")
    commands.run("call", __file__, "empty", commands.folder / "small")
    return commands.folder / "small"


def empty(folder: str) -> None:
    """Remove all files below a folder."""
    for path in Path(folder).rglob("*"):
        if path.is_file():
            path.unlink()


def leave(folder: str, left: str) -> None:
    """Fill the disk of a folder, but for so many bytes."""
    disk = os.statvfs(folder)
    (Path(folder) / "filler").write_bytes(bytes(disk.f_bavail * disk.f_frsize - int(left)))


def save(path: str) -> None:
    """Save a network, and say what kept it from being saved."""
    try:
        save_checkpoint(create_network("espcn"), path)
    except OSError as error:
        print(error.strerror)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != "filler")


def check_one_line(found: Finished, code: int, *parts: str) -> None:
    assert found.code == code, found.err
    assert found.err.count("\n") == 1
    assert [part for part in parts if part not in found.err] == []


@pytest.mark.parametrize("left", [0, 50_000])
@pytest.mark.parametrize("flag", QUICK)
def test_an_export_to_a_full_disk_keeps_what_was_there(commands: Commands, small: Path, flag: str, left: int) -> None:
    options = [flag, "--verify", "off", "-q", "-o", small / "out"]
    assert commands.run("export", *options, "--no-optimize").code == 0
    seen = commands.seen(small) / "out"
    before = {path: path.read_bytes() for path in seen.iterdir()}
    commands.run("call", __file__, "leave", small, left)
    found = commands.run("export", *options, "--force")
    check_one_line(found, 3, f"E302 {small / 'out'} cannot be written ({FULL}); free some space")
    assert {path: path.read_bytes() for path in seen.iterdir()} == before
    assert load(next(seen.glob(f"*{QUICK[flag]}"))).scale == 2


def test_a_full_folder_for_temporary_files_is_named(commands: Commands, small: Path, folder: Path) -> None:
    commands.run("call", __file__, "leave", small, 8192)
    options = ["--torchscript", "-q", "-o", folder / "out"]
    found = commands.run("export", *options, temporary=str(small))
    check_one_line(found, 3, f"E302 {small} cannot be written ({FULL}); free some space")
    assert (files(commands.seen(small)), files(folder)) == ([], [])


def fill_the_cache(left: str, folder: str) -> None:
    """Let AOTInductor find a full disk as soon as it begins to compile."""
    from srblocks_export.formats.aoti import exporter as aoti

    def begin(program: object, package: object, device: str, manifest: str, cache: str) -> None:
        leave(folder, left)
        (Path(cache) / "source.cpp").write_bytes(bytes(20_000))

    aoti._compile = begin


def test_a_disk_that_is_full_while_code_is_compiled_is_no_failed_build(
    commands: Commands, small: Path, folder: Path
) -> None:
    patch = [__file__, "fill_the_cache", "8192", str(small)]
    options = ["--aoti", "--verify", "off", "-q", "-o", folder]
    found = commands.run("export", *options, temporary=str(small), patch=patch)
    check_one_line(found, 3, f"E302 aoti: the folder for temporary files is not writable ({FULL}); free some space")
    assert (files(commands.seen(small)), files(folder)) == ([], [])


def test_images_that_fit_on_a_disk_stay_when_it_is_full(commands: Commands, small: Path, images: Path) -> None:
    commands.run("call", __file__, "leave", small, 20_000)
    found = commands.run("upscale", images, "-o", small / "out")
    check_one_line(found, 3, f"srblocks-upscale: {small / 'out' / 'b.jpg'} cannot be written ({FULL})")
    assert found.out.startswith("1 of 3 upscaled")
    assert files(commands.seen(small)) == ["a.png"]
    assert read_image(commands.seen(small) / "out" / "a.png").pixels.shape == (60, 80, 3)
    (commands.seen(small) / "filler").unlink()
    assert commands.run("upscale", images, "-o", small / "out", "--resume", "-q").code == 0
    assert files(commands.seen(small)) == ["a.png", "b.jpg", "c.tif"]


def test_a_checkpoint_on_a_full_disk_stays_as_it_was(commands: Commands, small: Path) -> None:
    path = small / "net.safetensors"
    assert commands.run("call", __file__, "save", path).out == ""
    before = commands.seen(path).read_bytes()
    commands.run("call", __file__, "leave", small, 8192)
    found = commands.run("call", __file__, "save", path)
    assert (found.code, found.out) == (0, f"{FULL}\n")
    assert commands.seen(path).read_bytes() == before
    assert files(commands.seen(small)) == ["net.safetensors"]


@pytest.mark.parametrize("kind", ["disk", "folder"])
@pytest.mark.parametrize("below", ["", "new"])
def test_what_cannot_be_written_is_said_before_the_work(
    commands: Commands, folder: Path, images: Path, kind: str, below: str
) -> None:
    if kind == "disk" and not commands.can_mount:
        pytest.skip("mounting a read-only disk is not allowed here")
    folder.chmod(0o555)
    out = (commands.folder / "read-only" if kind == "disk" else folder) / below
    reason = "Read-only file system" if kind == "disk" else "Permission denied"
    found = commands.run("export", "--torchscript", "-o", out, nobody=True)
    check_one_line(found, 3, f"E302 {out} cannot be written ({reason}); choose another folder with -o")
    found = commands.run("upscale", images, "-o", out, nobody=True)
    check_one_line(found, 3, f"{out} cannot be written ({reason}); choose another -o")
    assert found.out == ""
    assert files(folder) == []


@pytest.mark.parametrize("flag", QUICK)
def test_a_file_above_the_limit_of_the_process_is_not_left_half_written(
    commands: Commands, folder: Path, flag: str
) -> None:
    options = [flag, "--verify", "off", "-q", "-o", folder]
    found = commands.run("export", *options, limits={"RLIMIT_FSIZE": 50_000})
    check_one_line(found, 3, f"E302 {folder} cannot be written (File too large)")
    assert files(folder) == []


def test_images_above_the_limit_of_the_process_fail_one_by_one(commands: Commands, folder: Path, images: Path) -> None:
    found = commands.run("upscale", images, "-o", folder, "-q", limits={"RLIMIT_FSIZE": 13_000})
    assert (found.code, files(folder)) == (10, ["b.jpg"])
    assert found.err.count("cannot be written (File too large)\n") == 2


COMMANDS = {
    "export": ["export", "--torchscript", "--verify", "off", "-o", "OUT"],
    "export --json": ["export", "--torchscript", "--verify", "off", "-o", "OUT", "--json"],
    "list": ["export", "--list"],
    "list --json": ["export", "--list", "--json"],
    "check-env": ["export", "--check-env"],
    "dry-run": ["export", "--dry-run"],
    "upscale": ["upscale", "PICTURES", "-o", "OUT"],
    "upscale --json": ["upscale", "PICTURES", "-o", "OUT", "--json"],
    "evaluate": ["evaluate", "--data", "PICTURES", "--scale", "2"],
    "evaluate --json": ["evaluate", "--data", "PICTURES", "--scale", "2", "--json"],
}


@pytest.fixture
def command(request: pytest.FixtureRequest, folder: Path, images: Path) -> list[str]:
    names = {"OUT": str(folder), "PICTURES": str(images)}
    return [names.get(word, word) for word in COMMANDS[request.param]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("command", COMMANDS, indirect=True)
def test_a_report_to_a_full_disk_is_an_error_and_the_work_is_kept(
    commands: Commands, folder: Path, command: list[str]
) -> None:
    found = commands.run(*command, out="/dev/full")
    assert (found.code, found.err.count(f"the output cannot be written ({FULL})")) == (3, 1)
    assert "Traceback" not in found.err
    assert "internal error" not in found.err
    written = {"-o": 2 if command[0] == "export" else 3}
    assert len(files(folder)) == sum(written.get(word, 0) for word in command)


@pytest.mark.parametrize("where", ["/dev/full", "closed"])
@pytest.mark.parametrize("stream", ["out", "err"])
@pytest.mark.parametrize("command", ["export --json", "upscale", "evaluate"], indirect=True)
def test_streams_that_nobody_reads_do_not_keep_the_work_from_being_done(
    commands: Commands, folder: Path, images: Path, command: list[str], stream: str, where: str
) -> None:
    if (stream, where) == ("out", "/dev/full"):
        return
    (images / "bad.png").write_text("no image")  # which is told on standard error
    try:
        found = commands.run(*command, **{stream: where})
    finally:
        (images / "bad.png").unlink()
    assert found.code == (0 if command[0] == "export" else 10)
    assert "Traceback" not in found.err
    if "-o" in command:
        assert len(files(folder)) == (2 if command[0] == "export" else 3)

"""Full and read-only disks: the documented exit code, one line of error, and no lost files."""

import os
import shutil
from pathlib import Path

import pytest

from helpers.commands import Commands, Finished
from srblocks import create_network, save_checkpoint
from srblocks.inference.images import read_image
from srblocks_export.runtime import load

FULL = "No space left on device"
SUFFIXES = {"--torchscript": ".ts", "--pt2": ".pt2"}


@pytest.fixture
def small(commands: Commands) -> Path:
    """An empty file system of 1 MiB, visible to the server."""
    if not commands.can_mount:
        pytest.skip("mounting a small file system is not allowed here")
    commands.run("call", __file__, "empty", commands.folder / "small")
    return commands.folder / "small"


def empty(folder: str) -> None:
    """Remove all files in a folder."""
    for path in Path(folder).rglob("*"):
        if path.is_file():
            path.unlink()


def fill(folder: str, free: str) -> None:
    """Fill the disk of a folder except for some bytes."""
    disk = os.statvfs(folder)
    (Path(folder) / "filler").write_bytes(bytes(disk.f_bavail * disk.f_frsize - int(free)))


def save(path: str) -> None:
    """Save a network; print the error if it cannot be saved."""
    try:
        save_checkpoint(create_network("espcn"), path)
    except OSError as error:
        print(error.strerror)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != "filler")


def check_one_line(found: Finished, code: int, message: str) -> None:
    assert found.code == code, found.err
    assert found.err.count("\n") == 1
    assert message in found.err


@pytest.mark.parametrize(
    "flag,free",
    [
        ("--torchscript", 0),
        ("--torchscript", 50_000),
        ("--pt2", 50_000),
        pytest.param("--pt2", 0, marks=pytest.mark.slow),
    ],
)
def test_export_to_a_full_disk_keeps_existing_files(commands: Commands, small: Path, flag: str, free: int) -> None:
    options = [flag, "--verify", "off", "-q", "-o", small / "out"]
    assert commands.run("export", *options, "--no-optimize").code == 0
    out = commands.host_path(small) / "out"
    before = {path: path.read_bytes() for path in out.iterdir()}
    commands.run("call", __file__, "fill", small, free)
    found = commands.run("export", *options, "--force")
    check_one_line(found, 3, f"E302 {small / 'out'} cannot be written ({FULL}); free some space")
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    assert load(next(out.glob(f"*{SUFFIXES[flag]}"))).scale == 2


def test_full_temporary_folder_is_named(commands: Commands, small: Path, folder: Path) -> None:
    commands.run("call", __file__, "fill", small, 8192)
    options = ["--torchscript", "-q", "-o", folder / "out"]
    found = commands.run("export", *options, temporary=str(small))
    check_one_line(found, 3, f"E302 {small} cannot be written ({FULL}); free some space")
    assert (files(commands.host_path(small)), files(folder)) == ([], [])


def fill_cache(free: str, folder: str) -> None:
    """Fill the disk when AOTInductor starts to compile."""
    from srblocks_export.formats.aoti import exporter as aoti

    def start(program: object, package: object, device: str, manifest: str, cache: str) -> None:
        fill(folder, free)
        (Path(cache) / "source.cpp").write_bytes(bytes(20_000))

    aoti._compile = start


def test_full_disk_during_compilation_is_not_a_build_error(commands: Commands, small: Path, folder: Path) -> None:
    patch = [__file__, "fill_cache", "8192", str(small)]
    options = ["--aoti", "--verify", "off", "-q", "-o", folder]
    found = commands.run("export", *options, temporary=str(small), patch=patch)
    check_one_line(found, 3, f"E302 aoti: the folder for temporary files is not writable ({FULL}); free some space")
    assert (files(commands.host_path(small)), files(folder)) == ([], [])


def test_images_written_before_the_disk_is_full_are_kept(commands: Commands, small: Path, images: Path) -> None:
    commands.run("call", __file__, "fill", small, 20_000)
    found = commands.run("upscale", images, "-o", small / "out")
    check_one_line(found, 3, f"srblocks-upscale: {small / 'out' / 'b.jpg'} cannot be written ({FULL})")
    assert found.out.startswith("1 of 3 upscaled")
    assert files(commands.host_path(small)) == ["a.png"]
    assert read_image(commands.host_path(small) / "out" / "a.png").pixels.shape == (60, 80, 3)
    (commands.host_path(small) / "filler").unlink()
    assert commands.run("upscale", images, "-o", small / "out", "--resume", "-q").code == 0
    assert files(commands.host_path(small)) == ["a.png", "b.jpg", "c.tif"]


def test_saving_to_a_full_disk_keeps_the_old_checkpoint(commands: Commands, small: Path) -> None:
    path = small / "net.safetensors"
    assert commands.run("call", __file__, "save", path).out == ""
    before = commands.host_path(path).read_bytes()
    commands.run("call", __file__, "fill", small, 8192)
    found = commands.run("call", __file__, "save", path)
    assert (found.code, found.out) == (0, f"{FULL}\n")
    assert commands.host_path(path).read_bytes() == before
    assert files(commands.host_path(small)) == ["net.safetensors"]


@pytest.mark.parametrize("kind", ["disk", "folder"])
@pytest.mark.parametrize("below", ["", "new"])
def test_read_only_output_is_detected_before_the_work(
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


@pytest.mark.parametrize("flag", SUFFIXES)
def test_file_above_the_size_limit_of_the_process_is_removed(commands: Commands, folder: Path, flag: str) -> None:
    options = [flag, "--verify", "off", "-q", "-o", folder]
    found = commands.run("export", *options, limits={"RLIMIT_FSIZE": 50_000})
    check_one_line(found, 3, f"E302 {folder} cannot be written (File too large)")
    assert files(folder) == []


def test_images_above_the_size_limit_of_the_process_fail_individually(
    commands: Commands, folder: Path, images: Path
) -> None:
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
    "upscale": ["upscale", "IMAGES", "-o", "OUT"],
    "upscale --json": ["upscale", "IMAGES", "-o", "OUT", "--json"],
    "evaluate": ["evaluate", "--data", "IMAGES", "--scale", "2"],
    "evaluate --json": ["evaluate", "--data", "IMAGES", "--scale", "2", "--json"],
}
WRITTEN = {"export": 2, "upscale": 3, "evaluate": 0}
"""Number of files that a command writes to OUT."""


def run_command(commands: Commands, name: str, images: Path, folder: Path, **streams: str) -> Finished:
    names = {"OUT": str(folder), "IMAGES": str(images)}
    return commands.run(*[names.get(word, word) for word in COMMANDS[name]], **streams)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="requires /dev/full")
def test_report_to_a_full_disk_is_an_error_but_files_are_kept(commands: Commands, folder: Path, images: Path) -> None:
    for name, words in COMMANDS.items():
        out = folder / name.replace(" ", "")
        found = run_command(commands, name, images, out, out="/dev/full")
        assert (found.code, found.err.count(f"the output cannot be written ({FULL})")) == (3, 1), name
        assert "Traceback" not in found.err, name
        assert "internal error" not in found.err, name
        assert len(files(out)) == (WRITTEN[words[0]] if "-o" in words else 0), name


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="requires /dev/full")
@pytest.mark.parametrize("stream,target", [("out", "closed"), ("err", "closed"), ("err", "/dev/full")])
def test_closed_or_full_streams_do_not_stop_the_work(
    commands: Commands, folder: Path, images: Path, stream: str, target: str
) -> None:
    source = folder / "images"
    shutil.copytree(images, source)
    (source / "bad.png").write_text("not an image")  # is reported on standard error
    for name in ("export --json", "upscale", "evaluate"):
        program = name.partition(" ")[0]
        found = run_command(commands, name, source, folder / program, **{stream: target})
        assert found.code == (0 if program == "export" else 10), name
        assert "Traceback" not in found.err, name
        assert len(files(folder / program)) == WRITTEN[program], name

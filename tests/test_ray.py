"""The example for several machines, on a local Ray with two workers."""

import os
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from helpers.support import REPOSITORY
from srblocks.inference.cli import main
from srblocks.inference.images import ImageFile, write_image

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason='needs Ray: pip install "srblocks[ray]"'),
]
EXAMPLE = REPOSITORY / "examples" / "ray_upscale.py"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images of several formats in a tree, and a broken one."""
    samples = np.random.default_rng(0).integers(0, 65536, (24, 31, 4)).astype(np.uint16)
    shallow = (samples >> 8).astype(np.uint8)
    (tmp_path / "photos" / "summer").mkdir(parents=True)
    for name, image in {
        "deep.png": ImageFile(samples[..., :3], samples[..., 3:]),
        "GRAY.TIF": ImageFile(samples[..., :1]),
        "summer/photo.jpg": ImageFile(shallow[..., :3]),
        "summer/clear.webp": ImageFile(shallow[..., :3], shallow[..., 3:]),
        "summer/plain.bmp": ImageFile(shallow[..., :3]),
        "_underscore.png": ImageFile(shallow[..., :3]),
        ".hidden.png": ImageFile(shallow[..., :3]),
    }.items():
        write_image(image, tmp_path / "photos" / name)
    (tmp_path / "photos" / "summer" / "broken.png").write_text("not an image")
    (tmp_path / "photos" / "notes.txt").write_text("not an image")
    return tmp_path / "photos"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def with_ray(home: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    settings = {"HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEFAULT_OBJECT_STORE_MEMORY_PROPORTION": "0.01"}
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | settings
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=400)


@pytest.mark.slow
def test_two_workers_write_the_same_files_as_the_command(photos: Path, tmp_path: Path) -> None:
    assert main([str(photos), "-o", str(tmp_path / "one"), "--scale", "3", "-q"]) == 10
    found = with_ray(tmp_path, photos.as_uri(), tmp_path / "many", "--scale", "3", "--workers", "2")
    assert (found.returncode, found.stdout) == (10, "6 of 7 upscaled\n"), found.stderr
    assert f"{photos / 'summer' / 'broken.png'}: not a supported PNG, JPEG" in found.stderr
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert len(contents(tmp_path / "one")) == 6


def usage_error(arguments: list[object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the error of the example, which ends before it starts Ray."""
    monkeypatch.setattr(sys, "argv", ["ray_upscale.py", *map(str, arguments)])
    monkeypatch.setattr("ray.init", lambda **_: pytest.fail("Ray was started"))
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_target_must_not_overlap_with_the_source(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "photos").mkdir()  # with "." as target, photos/deep.png would overwrite deep.png of the source
    for name in ("deep.png", "photos/deep.png"):
        (photos / name).write_bytes((photos / "_underscore.png").read_bytes())
    (tmp_path / "link").symlink_to(photos)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "summer").symlink_to(photos / "summer")
    before = contents(tmp_path)
    monkeypatch.chdir(tmp_path)
    for target in ("photos", "photos/", "photos/../photos", "photos/big", "link", "link/big", ".", "in"):
        for source, address in ((photos, target), (photos.as_uri(), f"file://{tmp_path}/{target}")):
            assert "must not overlap" in usage_error([source, address], capsys, monkeypatch), target
    for source, address in ((photos, f"file://{tmp_path}/link"), (photos.as_uri(), "link")):
        assert "must not overlap" in usage_error([source, address], capsys, monkeypatch), source
    assert contents(tmp_path) == before


@pytest.mark.filterwarnings("ignore")
def test_source_must_be_a_folder_with_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    for source, message in (
        (tmp_path, "no images in"),
        (tmp_path / "notes.txt", "is a file"),
        (tmp_path / "missing", f"no such file or directory: {tmp_path / 'missing'}"),
    ):
        assert message in usage_error([source, tmp_path / "out"], capsys, monkeypatch)


@pytest.mark.filterwarnings("ignore")
def test_are_apart_compares_file_systems_and_folders(photos: Path, tmp_path: Path) -> None:
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    example, store = runpy.run_path(str(EXAMPLE)), SubTreeFileSystem(str(tmp_path.parent), LocalFileSystem())
    bucket = tmp_path.name
    source = f"{bucket}/photos"
    names = example["list_images"](store, source)
    assert names == example["list_images"](LocalFileSystem(), str(photos))
    assert {"_underscore.png", "summer/photo.jpg"} < {*names}
    for target, apart in {source: False, f"{source}/big": False, f"{source}2": True, bucket: True}.items():
        assert example["are_apart"]((store, source), (store, target), names) is apart
    assert not example["are_apart"]((store, source), (store, bucket), ["photos/a.png", "a.png"])
    assert example["are_apart"]((store, source), (LocalFileSystem(), source), names)
    assert example["canonical"](store, "photos//summer/") == "photos/summer"


@pytest.mark.filterwarnings("ignore")
def test_worker_writes_complete_files_to_an_object_store(photos: Path, tmp_path: Path) -> None:
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    example = runpy.run_path(str(EXAMPLE))
    worker = example["Worker"]("fsrcnn", None, "cpu", str(photos), str(tmp_path / "many"))
    assert main([str(photos / "deep.png"), "-o", str(tmp_path / "one"), "-q"]) == 0
    (tmp_path / "bucket" / "summer").mkdir(parents=True)
    worker.filesystem, worker.folder = SubTreeFileSystem(str(tmp_path / "bucket"), LocalFileSystem()), "summer"
    assert worker({"name": "deep.png"}) == {"path": str(photos / "deep.png"), "failure": ""}
    assert contents(tmp_path / "bucket") == {"summer/deep.png": contents(tmp_path / "one")["deep.png"]}
    assert worker({"name": "summer/broken.png"})["failure"].startswith("not a supported PNG, JPEG")
    assert "missing.png" in worker({"name": "missing.png"})["failure"]

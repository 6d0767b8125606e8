"""The example for many machines, on a local Ray of two workers."""

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
    """Images of several kinds in a tree, and a bad one."""
    samples = np.random.default_rng(0).integers(0, 65536, (24, 31, 4)).astype(np.uint16)
    shallow = (samples >> 8).astype(np.uint8)
    (tmp_path / "photos" / "summer").mkdir(parents=True)
    for name, image in {
        "deep.png": ImageFile(samples[..., :3], samples[..., 3:]),
        "GRAY.TIF": ImageFile(samples[..., :1]),
        "summer/photo.jpg": ImageFile(shallow[..., :3]),
        "summer/clear.webp": ImageFile(shallow[..., :3], shallow[..., 3:]),
        "summer/plain.bmp": ImageFile(shallow[..., :3]),
        "_under.png": ImageFile(shallow[..., :3]),
        ".hidden.png": ImageFile(shallow[..., :3]),
    }.items():
        write_image(image, tmp_path / "photos" / name)
    (tmp_path / "photos" / "summer" / "broken.png").write_text("no image")
    (tmp_path / "photos" / "notes.txt").write_text("no image either")
    return tmp_path / "photos"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def with_ray(home: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    settings = {"HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEFAULT_OBJECT_STORE_MEMORY_PROPORTION": "0.01"}
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | settings
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=400)


@pytest.mark.slow
def test_two_workers_write_what_the_command_writes(photos: Path, tmp_path: Path) -> None:
    assert main([str(photos), "-o", str(tmp_path / "one"), "--scale", "3", "-q"]) == 10
    found = with_ray(tmp_path, photos.as_uri(), tmp_path / "many", "--scale", "3", "--workers", "2")
    assert (found.returncode, found.stdout) == (10, "6 of 7 upscaled\n"), found.stderr
    assert f"{photos / 'summer' / 'broken.png'}: not a supported PNG, JPEG" in found.stderr
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert len(contents(tmp_path / "one")) == 6


def test_a_source_that_is_not_there_is_said(tmp_path: Path) -> None:
    found = with_ray(tmp_path, tmp_path / "absent", tmp_path / "many")
    assert found.returncode == 2
    assert f"no such file or directory: {tmp_path / 'absent'}" in found.stderr


def refused(arguments: list[object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the example says before it starts Ray."""
    monkeypatch.setattr(sys, "argv", ["ray_upscale.py", *map(str, arguments)])
    monkeypatch.setattr("ray.init", lambda **_: pytest.fail("it began"))
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "target", ["photos", "photos/", "photos/../photos", "photos/big", "link", "link/big", ".", "in"]
)
def test_no_image_is_overwritten_or_becomes_one_of_the_next_run(
    photos: Path,
    tmp_path: Path,
    target: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (photos / "photos").mkdir()  # of which "." would overwrite first.png
    for name in ("deep.png", "photos/deep.png"):
        (photos / name).write_bytes((photos / "_under.png").read_bytes())
    (tmp_path / "link").symlink_to(photos)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "summer").symlink_to(photos / "summer")
    before = contents(tmp_path)
    monkeypatch.chdir(tmp_path)
    for source in (photos, photos.as_uri()):
        for address in (target, f"file://{tmp_path}/{target}"):
            assert "must not overlap" in refused([source, address], capsys, monkeypatch)
    assert contents(tmp_path) == before


@pytest.mark.filterwarnings("ignore")
def test_a_source_without_images_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    assert "no images in" in refused([tmp_path, tmp_path / "out"], capsys, monkeypatch)
    assert "is a file" in refused([tmp_path / "notes.txt", tmp_path / "out"], capsys, monkeypatch)


@pytest.mark.filterwarnings("ignore")
def test_buckets_are_apart_unless_one_lies_in_the_other(photos: Path, tmp_path: Path) -> None:
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    example, store = runpy.run_path(str(EXAMPLE)), SubTreeFileSystem(str(tmp_path.parent), LocalFileSystem())
    bucket = tmp_path.name
    source = f"{bucket}/photos"
    names = example["list_images"](store, source)
    assert names == example["list_images"](LocalFileSystem(), str(photos))
    assert {"_under.png", "summer/photo.jpg"} < {*names}
    for target, apart in {source: False, f"{source}/big": False, f"{source}2": True, bucket: True}.items():
        assert example["are_apart"]((store, source), (store, target), names) is apart
    assert not example["are_apart"]((store, source), (store, bucket), ["photos/a.png", "a.png"])
    assert example["are_apart"]((store, source), (LocalFileSystem(), source), names)
    assert example["canonical"](store, "photos//summer/") == "photos/summer"


@pytest.mark.filterwarnings("ignore")
def test_an_object_store_gets_whole_files(photos: Path, tmp_path: Path) -> None:
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    example = runpy.run_path(str(EXAMPLE))
    worker = example["Worker"]("fsrcnn", None, "cpu", str(photos), str(tmp_path / "many"))
    assert main([str(photos / "deep.png"), "-o", str(tmp_path / "one"), "-q"]) == 0
    (tmp_path / "bucket" / "summer").mkdir(parents=True)
    worker.filesystem, worker.folder = SubTreeFileSystem(str(tmp_path / "bucket"), LocalFileSystem()), "summer"
    assert worker({"name": "deep.png"}) == {"path": str(photos / "deep.png"), "failure": ""}
    assert contents(tmp_path / "bucket") == {"summer/deep.png": contents(tmp_path / "one")["deep.png"]}
    assert worker({"name": "summer/broken.png"})["failure"].startswith("not a supported PNG, JPEG")
    assert "absent.png" in worker({"name": "absent.png"})["failure"]

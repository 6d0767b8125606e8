"""Input and output paths of srblocks-upscale."""

import os
from pathlib import Path

import pytest

from srblocks.inference import UpscaleError
from srblocks.inference.paths import Job, plan_jobs


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.png", "B.JPG", "notes.txt", "below/c.tiff", "below/deeper/d.webp", ".hidden.png", ".git/e.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path / "in"


UNSUPPORTED = (".gif", ".GIF", ".avif", ".heic", ".heif", ".jp2", ".jxl", ".webm", ".svg", ".ico")


def names(jobs: list[Job], out: Path) -> list[str]:
    return [job.target.relative_to(out).as_posix() for job in jobs]


def test_folder_structure_is_kept(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    jobs = plan_jobs([tree], out)
    assert names(jobs, out) == ["B.JPG", "a.png", "below/c.tiff", "below/deeper/d.webp"]
    assert [job.source.relative_to(tree) for job in jobs] == [job.target.relative_to(out) for job in jobs]
    assert names(plan_jobs([tree], out, suffix=".webp"), out) == [
        "B.webp", "a.webp", "below/c.webp", "below/deeper/d.webp",
    ]  # fmt: skip
    assert names(plan_jobs([tree / "notes.txt", tree / "below"], out), out) == [
        "notes.txt", "c.tiff", "deeper/d.webp",
    ]  # fmt: skip


def test_output_folder_inside_the_input_is_skipped(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "big").mkdir()
    (tree / "big" / "a.png").write_text("")
    assert names(plan_jobs([tree], tree / "big"), tree / "big")[:2] == ["B.JPG", "a.png"]
    assert len(plan_jobs([tree], tree / "big")) == 4
    monkeypatch.chdir(tree)
    assert len(plan_jobs([Path()], Path("big"))) == 4
    assert len(plan_jobs([tree], tree / "elsewhere")) == 5


def test_output_is_a_file_or_a_folder(tree: Path, tmp_path: Path) -> None:
    assert plan_jobs([tree / "a.png"], tmp_path / "x.jpg") == [Job(tree / "a.png", tmp_path / "x.jpg")]
    (tmp_path / "folder.png").mkdir()
    assert plan_jobs([tree / "a.png"], tmp_path / "folder.png")[0].target == tmp_path / "folder.png" / "a.png"
    assert plan_jobs([tree / "a.png"], tmp_path / "x")[0].target == tmp_path / "x" / "a.png"
    assert len(plan_jobs([tree / "a.png", tree / "a.png"], tmp_path / "x")) == 1
    for name in ("x.gif", "x.v1"):
        (tmp_path / name).mkdir()
        assert plan_jobs([tree / "a.png"], tmp_path / name)[0].target == tmp_path / name / "a.png"
    assert plan_jobs([tree / "a.png"], tmp_path / "x.v2")[0].target == tmp_path / "x.v2" / "a.png"


def test_repeated_inputs_are_upscaled_once(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert plan_jobs([Path("a.png"), tree / "a.png"], tmp_path / "x") == [Job(Path("a.png"), tmp_path / "x" / "a.png")]
    assert len(plan_jobs([Path(), tree, Path("../in")], tmp_path / "x")) == 4


def test_links_to_folders_are_not_followed(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "link").symlink_to(tree / "below")
    (tmp_path / "in" / "link.png").symlink_to(tree / "a.png")
    out = tmp_path / "out"
    assert names(plan_jobs([tree], out), out) == ["B.JPG", "a.png", "below/c.tiff", "below/deeper/d.webp", "link.png"]
    assert len(plan_jobs([tree / "link"], out)) == 2


def test_conflicting_paths(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    for name in ("other/a.png", "other/a.webp"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("")
    Path("empty").mkdir()
    for inputs, out, suffix, message in (
        (["a.png", "B.JPG"], "x.png", None, "x.png names one file for several inputs; use a folder"),
        (["."], "x.png", None, "x.png names one file for several inputs; use a folder"),
        (["absent.png"], "out", None, "no such file or directory: absent.png"),
        (["a.png"], "x.png", ".jpg", "x.png has the suffix of PNG, not of JPEG; remove --format"),
        (["a.png", "B.JPG"], "x.gif", None, "cannot write .gif files; use .png, .jpg"),
        (["a.png"], "a.png", None, "a.png is an input, which is never overwritten"),
        (["a.png"], ".", None, "a.png is an input, which is never overwritten"),
        (["."], ".", None, "is an input, which is never overwritten"),
        (["a.png", "other/a.png"], "out", None, "have the same output out/a.png"),
        (["a.png", "other/a.webp"], "out", ".tif", "have the same output out/a.tif"),
        (["empty"], "out", None, "no images in empty; images end in .png, .jpg"),
    ):
        with pytest.raises(UpscaleError, match=message) as caught:
            plan_jobs([Path(name) for name in inputs], Path(out), suffix=suffix)
        assert caught.value.exit_code == 2, inputs
    assert plan_jobs([Path("below")], Path())
    assert plan_jobs([Path("below"), Path("below/c.tiff")], Path("out"))


def test_output_name_too_long(tree: Path) -> None:
    with pytest.raises(UpscaleError, match="cannot be written") as caught:
        plan_jobs([tree / "a.png"], tree / ("n" * 300))
    assert caught.value.exit_code == 3


def test_unsupported_output_formats(tree: Path) -> None:
    for suffix in UNSUPPORTED:
        with pytest.raises(UpscaleError, match=f"cannot write {suffix} files; use .png, .jpg"):
            plan_jobs([tree / "a.png"], Path(f"x{suffix}"))


def test_output_is_finished_unless_older_than_its_input(tmp_path: Path) -> None:
    job = Job(tmp_path / "a.png", tmp_path / "b.png")
    job.source.write_text("")
    assert not job.is_finished()
    job.target.write_text("")
    assert job.is_finished()
    os.utime(job.source, ns=(0, job.target.stat().st_mtime_ns + 10**9))
    assert not job.is_finished()

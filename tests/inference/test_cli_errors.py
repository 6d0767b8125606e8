"""`srblocks-upscale` where something goes wrong: one line, its exit code, and nothing half written."""

import json
from pathlib import Path

import numpy as np
import pytest

from srblocks.inference import batch as jobs
from srblocks.inference import run as running
from srblocks.inference.images import ImageFile, write_image
from upscale.commands import called, contents


def test_only_bad_files_are_another_exit_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    code, out, err = called(capsys, tmp_path / "a.png", "-o", tmp_path / "big")
    assert (code, err.count("\n")) == (9, 1)
    assert out == "0 of 1 enlarged x2 by fsrcnn (bundled weights), 1 failed\n"
    assert contents(tmp_path / "big") == {}


def test_an_interruption_keeps_what_is_finished(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = running.run_job

    def interrupted(upscaler: object, job: object, **options: object) -> object:
        if (tmp_path / "big" / "first.png").exists():
            raise KeyboardInterrupt
        return real(upscaler, job, **options)

    monkeypatch.setattr(running, "run_job", interrupted)
    code, out, err = called(capsys, photos, "-o", tmp_path / "big", "--json")
    assert (code, err) == (130, "srblocks-upscale: interrupted; --resume goes on with it\n")
    assert [outcome["status"] for outcome in json.loads(out)["outcomes"]] == ["done"]
    assert list(contents(tmp_path / "big")) == ["first.png"]


def test_a_full_disk_ends_it_and_leaves_nothing_half_written(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = jobs.write_image

    def full(picture: ImageFile, target: Path, **options: object) -> object:
        if target.suffix == ".png":
            return real(picture, target, **options)
        target.write_bytes(b"half a picture")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs, "write_image", full)
    code, out, err = called(capsys, photos, "-o", tmp_path / "big")
    assert (code, list(contents(tmp_path / "big"))) == (3, ["first.png"])
    assert err.endswith("second.tif cannot be written (No space left on device)\n")
    assert out.startswith("1 of 2 enlarged")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_a_full_device_has_its_own_name_in_every_format(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").symlink_to("/dev/full")
    for white in (255, 65535):
        with pytest.raises(OSError, match="No space left on device"):
            samples = np.random.default_rng(0).integers(0, white, (90, 90, 3))
            write_image(ImageFile(samples.astype(np.uint8 if white == 255 else np.uint16)), tmp_path / f"a{suffix}")


def test_an_output_that_cannot_be_written_is_said_before_the_work(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run_job", lambda *_, **__: pytest.fail("it began"))
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        code, _, err = called(capsys, photos, "-o", out)
        assert (code, err.startswith(f"srblocks-upscale: {out} cannot be written (")) == (3, True)
        assert err.endswith("; choose another -o\n")


def test_a_name_that_is_too_long_keeps_no_other_file_from_being_enlarged(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    (photos / ("n" * 248 + ".jpg")).write_bytes((photos / "first.png").read_bytes())
    (photos / "summer" / ("n" * 251 + ".jpg")).write_bytes((photos / "first.png").read_bytes())
    code, out, err = called(capsys, photos, "-o", tmp_path / "big", "--format", "webp", "--force", "--json")
    report = json.loads(out)
    assert (code, report["done"], report["failed"]) == (10, 3, 1)
    assert "cannot be written (File name too long)" in err
    assert sorted(contents(tmp_path / "big"), key=len)[:2] == ["first.webp", "summer/second.webp"]


@pytest.mark.parametrize(
    "arguments,code,message",
    [
        ([], 2, "the following arguments are required: INPUT, -o/--out; see srblocks-upscale --help"),
        (["PHOTOS"], 2, "the following arguments are required: -o/--out"),
        (["absent.png", "-o", "OUT"], 2, "absent.png is no file or folder; give images, or folders of them"),
        (["PHOTOS", "-o", "out.gif"], 2, ".gif files are not written; use .png, .jpg"),
        (["PHOTOS", "-o", "OUT", "--model", "fsrcn"], 2, "unknown network 'fsrcn'; did you mean fsrcnn"),
        (["PHOTOS", "-o", "OUT", "--model", "edsr"], 2, "no weights are bundled for edsr"),
        (["PHOTOS", "-o", "OUT", "--scale", "7"], 2, "no weights are bundled for fsrcnn at scale 7"),
        (["PHOTOS", "-o", "OUT", "--scale", "two"], 2, "argument --scale: invalid int value: 'two'"),
        (["PHOTOS", "-o", "OUT", "--tile", "0"], 2, "argument --tile: '0' is no size; give auto, or pixels per side"),
        (["PHOTOS", "-o", "OUT", "--tile", "10"], 2, "tiles of 10 pixels leave nothing within their halo; give 17"),
        (["PHOTOS", "-o", "OUT", "--quality", "101"], 2, "argument --quality: '101' is not in 1..100"),
        (["PHOTOS", "-o", "OUT", "--resume", "--force"], 2, "not allowed with argument"),
        (["PHOTOS", "-o", "OUT", "--format", "gif"], 2, "argument --format: invalid choice: 'gif'"),
        (["PHOTOS", "-o", "OUT", "--device", "abacus"], 4, "--device abacus is not available here; use cpu"),
        (["PHOTOS", "-o", "OUT", "--model", "PHOTOS/notes.txt"], 9, "notes.txt"),
        (["PHOTOS", "-o", "OUT", "--model", "absent.onnx"], 9, "absent.onnx"),
    ],
)
def test_wrong_input_is_one_line_and_its_exit_code(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    places = {"PHOTOS": str(photos), "OUT": str(tmp_path / "out"), "PHOTOS/notes.txt": str(photos / "notes.txt")}
    found, out, err = called(capsys, *(places.get(argument, argument) for argument in arguments))
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert err.startswith("srblocks-upscale: ")
    assert message in err
    assert not (tmp_path / "out").exists()

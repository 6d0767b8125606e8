"""Errors of `srblocks-upscale`."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.images import noise
from helpers.upscaling import contents, run_upscale
from srblocks.inference import batch
from srblocks.inference.images import ImageFile, write_image


def test_exit_code_when_all_images_fail(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not an image")
    code, out, err = run_upscale(capsys, tmp_path / "a.png", "-o", tmp_path / "big")
    assert (code, err.count("\n")) == (9, 1)
    assert (
        re.sub(r"in [\d.]+ s", "in 0.0 s", out) == "0 of 1 upscaled x2 by fsrcnn (bundled weights) in 0.0 s, 1 failed\n"
    )
    assert contents(tmp_path / "big") == {}


def test_interruption_keeps_finished_outputs(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = batch.run_job

    def interrupted(upscaler: object, job: object, **options: object) -> object:
        if (tmp_path / "big" / "first.png").exists():
            raise KeyboardInterrupt
        return real(upscaler, job, **options)

    monkeypatch.setattr(batch, "run_job", interrupted)
    code, out, err = run_upscale(capsys, photos, "-o", tmp_path / "big", "--json")
    assert (code, err) == (130, "srblocks-upscale: interrupted; use --resume to continue\n")
    assert [outcome["status"] for outcome in json.loads(out)["outcomes"]] == ["done"]
    assert list(contents(tmp_path / "big")) == ["first.png"]


def test_full_disk_leaves_no_partial_file(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = batch.write_image

    def full(image: ImageFile, target: Path, **options: object) -> object:
        if target.suffix == ".png":
            return real(image, target, **options)
        target.write_bytes(b"half an image")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(batch, "write_image", full)
    code, out, err = run_upscale(capsys, photos, "-o", tmp_path / "big")
    assert (code, list(contents(tmp_path / "big"))) == (3, ["first.png"])
    assert err.endswith("second.tif cannot be written (No space left on device)\n")
    assert out.startswith("1 of 2 upscaled")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_device_is_reported_in_every_format(tmp_path: Path) -> None:
    for suffix, dtype in itertools.product((".png", ".jpg", ".webp", ".tif", ".bmp"), (np.uint8, np.uint16)):
        target = tmp_path / f"{np.dtype(dtype).name}{suffix}"
        target.symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left on device"):
            write_image(ImageFile(noise(90, 90, 3, dtype)), target)


def test_unwritable_output_is_reported_before_upscaling(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "run_job", lambda *_, **__: pytest.fail("a job was started"))
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        code, _, err = run_upscale(capsys, photos, "-o", out)
        assert (code, err.startswith(f"srblocks-upscale: {out} cannot be written (")) == (3, True)
        assert err.endswith("; choose another -o\n")


def test_file_names_that_are_too_long(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    (photos / ("n" * 248 + ".jpg")).write_bytes((photos / "first.png").read_bytes())
    (photos / "summer" / ("n" * 251 + ".jpg")).write_bytes((photos / "first.png").read_bytes())
    code, out, err = run_upscale(capsys, photos, "-o", tmp_path / "big", "--format", "webp", "--force", "--json")
    report = json.loads(out)
    assert (code, report["done"], report["failed"]) == (10, 3, 1)
    assert "cannot be written (File name too long)" in err
    assert sorted(contents(tmp_path / "big"), key=len)[:2] == ["first.webp", "summer/second.webp"]


def test_usage_errors(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    paths = {"PHOTOS": str(photos), "OUT": str(tmp_path / "out")}
    paths |= {f"PHOTOS/{name}": str(photos / name) for name in ("notes.txt", "first.png")}
    for arguments, code, message in (
        ([], 2, "parameter INPUTS requires an argument; see srblocks-upscale --help"),
        (["PHOTOS"], 2, "parameter --out requires an argument; see srblocks-upscale --help"),
        (["absent.png", "-o", "OUT"], 2, "no such file or directory: absent.png"),
        (["PHOTOS", "-o", "out.gif"], 2, "cannot write .gif files; use .png, .jpg"),
        (["PHOTOS", "-o", "OUT", "--model", "fsrcn"], 2, "unknown network 'fsrcn'; did you mean fsrcnn"),
        (["PHOTOS", "-o", "OUT", "--model", "edsr"], 2, "no bundled weights for edsr"),
        (["PHOTOS", "-o", "OUT", "--scale", "7"], 2, "fsrcnn does not support scale 7"),
        (["PHOTOS", "-o", "OUT", "--scale", "two"], 2, 'unable to convert "two" into int'),
        (["PHOTOS", "-o", "OUT", "--tile", "0"], 2, "must be auto, or the number of pixels such as 256"),
        (["PHOTOS", "-o", "OUT", "--tile", "10"], 2, "tile must be at least 17 for fsrcnn (bundled weights), got 10"),
        (["PHOTOS", "-o", "OUT", "--quality", "101"], 2, "--quality"),
        (["PHOTOS/first.png", "-o", "OUT", "--quality", "50"], 2, "--quality has no effect on PNG; remove it, or use"),
        (["absent.jpg", "-o", "out.png"], 2, "no such file or directory: absent.jpg"),
        (["PHOTOS", "-o", "OUT", "--mod", "fsrcnn"], 2, "unknown option: --mod. Did you mean --model?"),
        (["PHOTOS", "-o", "OUT", "--resume", "--force"], 2, "--resume and --force exclude each other"),
        (["PHOTOS", "-o", "OUT", "--format", "gif"], 2, 'invalid value "gif" for --format'),
        (["PHOTOS", "-o", "OUT", "--device", "abacus"], 4, "device abacus is not available; use cpu"),
        (["PHOTOS", "-o", "OUT", "--model", "PHOTOS/notes.txt"], 9, "notes.txt"),
        (["PHOTOS", "-o", "OUT", "--model", "absent.onnx"], 9, "absent.onnx"),
    ):
        found, out, err = run_upscale(capsys, *(paths.get(argument, argument) for argument in arguments))
        assert (found, out, err.count("\n")) == (code, "", 1), arguments
        assert err.startswith("srblocks-upscale: "), arguments
        assert message in err, arguments
        assert not (tmp_path / "out").exists(), arguments


def test_errors_as_json(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    common = [photos, "-o", tmp_path / "out", "--json"]
    for arguments, code in ((["--scale", "two"], 2), (["--model", "fsrcn"], 2), (["--model", "absent.onnx"], 9)):
        found, out, err = run_upscale(capsys, *common, *arguments)
        report = json.loads(out)
        assert (found, report["exit_code"], f"srblocks-upscale: {report['error']}\n") == (code, code, err), arguments


def test_help_and_path_errors_do_not_import_torch() -> None:
    code = (
        "import sys\nfrom srblocks.inference.cli import main as upscale\n"
        "from srblocks.evaluate.cli import main as score\n"
        "codes = upscale(['--help']), upscale(['absent', '-o', 'x']), score(['--help']), score(['--data', 'absent'])\n"
        "assert codes == (0, 2, 0, 2) and 'torch' not in sys.modules and 'PIL' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert found.returncode == 0, found.stderr
    assert found.stderr.splitlines() == [
        "srblocks-upscale: no such file or directory: absent",
        "srblocks-evaluate: no such file or directory: absent",
    ]
    assert max(map(len, found.stdout.splitlines())) <= 80

"""`srblocks-upscale` as its users meet it."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srblocks import create_network, load_pretrained, on_rgb, save_checkpoint
from srblocks.upscale import jobs, of_network, running
from srblocks.upscale.command import main
from srblocks.upscale.images import Picture, read_picture, write_picture
from srblocks.upscale.jobs import upscale_picture
from support import authors_state, filled, run

COMMAND = [sys.executable, "-m", "srblocks.upscale"]


def waves(height: int, width: int, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (127.5 + 110 * np.dstack([np.sin(y / (3 + c) + x / 5) for c in range(channels)])).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pictures, one of them in a folder of its own, and a text."""
    (tmp_path / "photos" / "summer").mkdir(parents=True)
    write_picture(Picture(waves(20, 31)), tmp_path / "photos" / "first.png")
    write_picture(Picture(waves(25, 18).astype(np.uint16) * 257), tmp_path / "photos" / "summer" / "second.tif")
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path / "photos"


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, *capsys.readouterr()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_becomes_a_folder(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    code, out, err = called(capsys, photos, "-o", tmp_path / "big", "--scale", 3)
    assert (code, err) == (0, "")
    assert out.startswith("2 of 2 enlarged x3 by fsrcnn (bundled weights), ")
    assert out.endswith(" images/s\n")
    assert sorted(contents(tmp_path / "big")) == ["first.png", "summer/second.tif"]
    upscaler = of_network(on_rgb(load_pretrained("fsrcnn", scale=3)), "fsrcnn")
    for name in contents(tmp_path / "big"):
        found = read_picture(tmp_path / "big" / name)
        expected = upscale_picture(upscaler, read_picture(photos / name))
        assert found.pixels.dtype == expected.pixels.dtype
        steps = 1 if found.pixels.dtype == np.uint8 else 2
        assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= steps, name


def test_what_became_of_every_file_is_told_as_json(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.jpg").write_text("no picture")
    arguments = [photos, "-o", tmp_path / "big", "--format", "jpg", "--json"]
    code, out, err = called(capsys, *arguments)
    report = json.loads(out)
    broken, first, second = report["outcomes"]
    assert code == 10
    assert [report[key] for key in ("model", "scale", "files", "done", "skipped", "failed")] == [
        "fsrcnn (bundled weights)", 2, 3, 2, 0, 1,
    ]  # fmt: skip
    assert (broken["source"], broken["status"], broken["size"]) == (str(photos / "broken.jpg"), "failed", None)
    assert broken["reason"].startswith("no readable image: no PNG, JPEG, WebP, TIFF or BMP")
    assert (first["target"], first["size"], first["remarks"]) == (str(tmp_path / "big" / "first.jpg"), [62, 40], [])
    assert second["remarks"] == ["16 bits rounded to the 8 of JPEG"]
    assert (second["approximate"], second["reason"]) == (False, None)
    assert err.splitlines() == [
        f"srblocks-upscale: {photos / 'broken.jpg'}: {broken['reason']}",
        f"srblocks-upscale: {photos / 'summer' / 'second.tif'}: 16 bits rounded to the 8 of JPEG",
    ]
    assert sorted(contents(tmp_path / "big")) == ["first.jpg", "summer/second.jpg"]


def test_only_bad_files_are_another_exit_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    code, out, err = called(capsys, tmp_path / "a.png", "-o", tmp_path / "big")
    assert (code, err.count("\n")) == (9, 1)
    assert out == "0 of 1 enlarged x2 by fsrcnn (bundled weights), 1 failed\n"
    assert contents(tmp_path / "big") == {}


@pytest.mark.parametrize("color", ["y", "rgb"])
def test_an_artifact_gives_what_its_network_gives(
    color: str, capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    assert run(capsys, "--color", color, "--name", "net", "--verify", "off", "-o", tmp_path)[0] == 0
    for model, out in (("fsrcnn", "a.png"), (tmp_path / "net.onnx", "b.png")):
        assert called(capsys, photos / "first.png", "-o", tmp_path / out, "--model", model, "-q") == (0, "", "")
    found, expected = (read_picture(tmp_path / name).pixels.astype(int) for name in ("b.png", "a.png"))
    assert np.abs(found - expected).max() <= 1


def test_weights_of_ones_own(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    net = filled(create_network("edsr_baseline", scale=2, depth=1, width=4))
    save_checkpoint(net, tmp_path / "own.safetensors")
    code, out, _ = called(
        capsys, photos / "first.png", "-o", tmp_path / "a.png", "--model", tmp_path / "own.safetensors"
    )
    assert (code, out.startswith("1 of 1 enlarged x2 by edsr_baseline (own.safetensors)")) == (0, True)
    expected = upscale_picture(of_network(net, "own"), read_picture(photos / "first.png")).pixels
    assert np.abs(read_picture(tmp_path / "a.png").pixels.astype(int) - expected).max() <= 1


def test_existing_outputs_are_kept_unless_asked_for(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    assert called(capsys, photos, "-o", big)[0] == 0
    before = contents(big)
    code, out, err = called(capsys, photos, "-o", big, "--scale", 4)
    assert (code, out) == (3, "")
    assert err == (
        f"srblocks-upscale: {big / 'first.png'} and 1 more outputs exist; "
        "use --resume to go on, --force to overwrite, or another -o\n"
    )
    assert called(capsys, photos / "first.png", "-o", big / "first.png")[0] == 3
    assert contents(big) == before
    assert called(capsys, photos, "-o", big, "--scale", 4, "--force")[0] == 0
    assert {name: content != before[name] for name, content in contents(big).items()} == dict.fromkeys(before, True)
    assert called(capsys, photos, "-o", photos, "--force")[0] == 2


def test_resuming_skips_what_is_finished_and_not_older(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    (big / "summer").mkdir(parents=True)
    (big / "first.png").write_text("finished")
    code, out, _ = called(capsys, photos, "-o", big, "--resume")
    assert (code, out.endswith(" images/s, 1 skipped\n")) == (0, True)
    assert (big / "first.png").read_text() == "finished"
    assert read_picture(big / "summer" / "second.tif").pixels.shape == (50, 36, 3)
    future = time.time_ns() + 10**10
    os.utime(photos / "first.png", ns=(future, future))
    report = json.loads(called(capsys, photos, "-o", big, "--resume", "--json")[1])
    assert [outcome["status"] for outcome in report["outcomes"]] == ["skipped", "done"]
    assert read_picture(big / "first.png").pixels.shape == (40, 62, 3)


def test_a_killed_run_leaves_no_half_written_file_and_can_be_resumed(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    (tmp_path / "in").mkdir()
    for number in range(11):
        write_picture(Picture(np.roll(samples, number, 0)), tmp_path / "in" / f"{number}.png")
    arguments = [*COMMAND, str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-q"]
    process = subprocess.Popen(arguments)
    deadline = time.monotonic() + 100
    while len(list((tmp_path / "out").glob("[0-9]*.png"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("[0-9]*.png")}
    assert 3 <= len(finished) < 11
    assert {read_picture(path).pixels.shape for path in finished} == {(400, 600, 3)}
    assert subprocess.run([*arguments, "--resume"], check=False, timeout=100).returncode == 0
    now = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("[0-9]*.png")}
    assert len(now) == 11
    assert finished.items() <= now.items()


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
    real = jobs.write_picture

    def full(picture: Picture, target: Path, **options: object) -> object:
        if target.suffix == ".png":
            return real(picture, target, **options)
        target.write_bytes(b"half a picture")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs, "write_picture", full)
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
            write_picture(Picture(samples.astype(np.uint8 if white == 255 else np.uint16)), tmp_path / f"a{suffix}")


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
        (["PHOTOS", "-o", "OUT", "--model", "edsr"], 2, "no weights of edsr are bundled"),
        (["PHOTOS", "-o", "OUT", "--scale", "7"], 2, "no bundled weights for 'fsrcnn' at scale 7"),
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


def test_a_terminal_sees_how_far_it_is(photos: Path, tmp_path: Path) -> None:
    (photos / "odd\n[bold]:smile:.png").write_text("no picture")
    leader, follower = pty.openpty()
    arguments = [*COMMAND, str(photos), "-o", str(tmp_path / "big")]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150", "NO_COLOR": "1"}
    found = subprocess.run(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=follower, check=False, timeout=100
    )
    os.close(follower)
    shown = os.read(leader, 10**6).decode()
    os.close(leader)
    assert found.returncode == 10
    assert "3/3" in shown
    assert " images/s " in shown
    assert "odd\\n[bold]:smile:.png': no readable image: no PNG, JPEG" in shown


def test_without_pillow_it_is_said_what_to_install(photos: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['PIL'] = None; from srblocks.upscale.command import main; sys.exit(main())"
    arguments = [sys.executable, "-c", code, str(photos), "-o", str(tmp_path / "big")]
    found = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=100)
    assert found.returncode == 4
    message = "reading and writing pictures needs Pillow; pip install 'srblocks[image]'"
    assert found.stderr == f"srblocks-upscale: {message}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_report_that_cannot_be_written_is_said(photos: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        arguments = [*COMMAND, str(photos), "-o", str(tmp_path / "big")]
        found = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=100)
    assert (found.returncode, len(contents(tmp_path / "big"))) == (3, 2)
    assert found.stderr == "srblocks-upscale: the output cannot be written (No space left on device)\n"


def test_only_the_tiles_of_a_network_that_sees_all_are_approximate(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    net = filled(create_network("rcan", scale=2, width=8, groups=1, blocks_per_group=1, reduction=4))
    save_checkpoint(net, tmp_path / "own.safetensors")
    Image.fromarray(waves(90, 100)).save(tmp_path / "a.png")
    for tile, approximate in (("80", True), ("100", False)):
        arguments = ["--model", tmp_path / "own.safetensors", "--tile", tile, "--json", "--force"]
        code, out, err = called(capsys, tmp_path / "a.png", "-o", tmp_path / "b.png", *arguments)
        assert (code, json.loads(out)["outcomes"][0]["approximate"]) == (0, approximate)
        assert ("approximate: the network sees whole pictures" in err) is approximate


def test_what_tiles_change_is_measured_on_the_first_such_picture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    net = create_network("rcan", scale=2, width=16, groups=1, blocks_per_group=2)
    save_checkpoint(net, tmp_path / "rcan.safetensors")
    for name, side in (("fits.png", 60), ("large.png", 100)):
        picture = np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)
        Image.fromarray(picture).save(tmp_path / name)
    inputs = [tmp_path / "fits.png", tmp_path / "large.png"]
    options = ["--model", tmp_path / "rcan.safetensors", "--tile", 80, "--json"]
    code, out, _ = called(capsys, *inputs, "-o", tmp_path / "out", *options)
    report = json.loads(out)
    assert code == 0
    assert [each["approximate"] for each in report["outcomes"]] == [False, True]
    measured = report["approximation"]
    assert measured["source"] == str(tmp_path / "large.png")
    assert (measured["height"], measured["width"], measured["tile"]) == (80, 80, 40)
    assert measured["psnr"] < 120
    code, out, _ = called(capsys, inputs[0], "-o", tmp_path / "one", *options)
    assert json.loads(out)["approximation"] is None


def test_arguments_that_weights_do_not_show_are_asked_for_and_given(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    torch.save(authors_state("FSRCNN 56-12-4 Y x2"), tmp_path / "net.pth")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    options = [tmp_path / "a.png", "-o", tmp_path / "out", "--model", tmp_path / "net.pth", "-q"]
    code, _, err = called(capsys, *options)
    assert (code, "see --scale and --arg" in err) == (2, True)
    code, _, err = called(capsys, *options, "--scale", 2, "--arg", "no_such=8")
    assert (code, "no_such" in err) == (2, True)
    assert called(capsys, *options, "--scale", 2, "--arg", "value_range=255")[0] == 0
    code, _, err = called(capsys, tmp_path / "a.png", "-o", tmp_path / "out", "--arg", "width=8", "--force")
    assert (code, "fsrcnn shows its arguments; leave out width" in err) == (2, True)

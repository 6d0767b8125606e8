"""The `srblocks-upscale` command."""

import json
import os
import pty
import re
import runpy
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.support import authors_state, filled, run
from helpers.upscaling import contents, run_upscale
from srblocks import create_network, load_pretrained, on_rgb, save_checkpoint
from srblocks.inference import from_network
from srblocks.inference.batch import upscale_image
from srblocks.inference.images import read_image


def test_folder_is_upscaled_to_a_folder(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    code, out, err = run_upscale(capsys, photos, "-o", tmp_path / "big", "--scale", 3)
    assert (code, err) == (0, "")
    assert re.fullmatch(r"2 of 2 upscaled x3 by fsrcnn \(bundled weights\) in [\d.]+ s\n", out)
    assert sorted(contents(tmp_path / "big")) == ["first.png", "summer/second.tif"]
    upscaler = from_network(on_rgb(load_pretrained("fsrcnn", scale=3)), "fsrcnn")
    for name in contents(tmp_path / "big"):
        found = read_image(tmp_path / "big" / name)
        expected = upscale_image(upscaler, read_image(photos / name))
        assert found.pixels.dtype == expected.pixels.dtype
        steps = 1 if found.pixels.dtype == np.uint8 else 2
        assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= steps, name


def test_json_report_lists_every_file(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_text("not an image")
    arguments = [photos, "-o", tmp_path / "big", "--format", "jpg", "--json"]
    code, out, err = run_upscale(capsys, *arguments)
    report = json.loads(out)
    broken, first, second = report["outcomes"]
    assert code == 10
    assert [report[key] for key in ("model", "scale", "files", "done", "skipped", "failed")] == [
        "fsrcnn (bundled weights)", 2, 3, 2, 0, 1,
    ]  # fmt: skip
    assert (broken["source"], broken["status"], broken["size"]) == (str(photos / "broken.jpg"), "failed", None)
    assert broken["reason"].startswith("not a supported PNG, JPEG, WebP, TIFF or BMP image")
    assert (first["target"], first["size"], first["warnings"]) == (str(tmp_path / "big" / "first.jpg"), [62, 40], [])
    assert second["warnings"] == ["16 bits rounded to 8 for JPEG"]
    assert (second["approximate"], second["reason"]) == (False, None)
    assert err.splitlines() == [
        f"srblocks-upscale: {photos / 'broken.jpg'}: {broken['reason']}",
        f"srblocks-upscale: {photos / 'summer' / 'second.tif'}: 16 bits rounded to 8 for JPEG",
    ]
    assert sorted(contents(tmp_path / "big")) == ["first.jpg", "summer/second.jpg"]


def test_artifact_matches_its_network(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    assert run(capsys, "--onnx", "--name", "net", "--verify", "off", "-o", tmp_path)[0] == 0
    for model, out in (("fsrcnn", "a.png"), (tmp_path / "net.onnx", "b.png")):
        assert run_upscale(capsys, photos / "first.png", "-o", tmp_path / out, "--model", model, "-q") == (0, "", "")
    found, expected = (read_image(tmp_path / name).pixels.astype(int) for name in ("b.png", "a.png"))
    assert np.abs(found - expected).max() <= 1


def test_custom_weights(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    net = filled(create_network("edsr_baseline", scale=2, depth=1, width=4))
    save_checkpoint(net, tmp_path / "custom.safetensors")
    code, out, _ = run_upscale(
        capsys, photos / "first.png", "-o", tmp_path / "a.png", "--model", tmp_path / "custom.safetensors"
    )
    assert (code, out.startswith("1 of 1 upscaled x2 by edsr_baseline (custom.safetensors)")) == (0, True)
    expected = upscale_image(from_network(net, "custom"), read_image(photos / "first.png")).pixels
    assert np.abs(read_image(tmp_path / "a.png").pixels.astype(int) - expected).max() <= 1


def test_existing_outputs_are_not_overwritten_without_force(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    assert run_upscale(capsys, photos, "-o", big)[0] == 0
    before = contents(big)
    code, out, err = run_upscale(capsys, photos, "-o", big, "--scale", 4)
    assert (code, out) == (3, "")
    assert err == (
        f"srblocks-upscale: {big / 'first.png'} and 1 other outputs exist; "
        "use --resume to continue, --force to overwrite, or another -o\n"
    )
    assert run_upscale(capsys, photos / "first.png", "-o", big / "first.png")[0] == 3
    assert contents(big) == before
    assert run_upscale(capsys, photos, "-o", big, "--scale", 4, "--force")[0] == 0
    assert {name: content != before[name] for name, content in contents(big).items()} == dict.fromkeys(before, True)
    assert run_upscale(capsys, photos, "-o", photos, "--force")[0] == 2


def test_resume_skips_finished_outputs(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    big = tmp_path / "big"
    (big / "summer").mkdir(parents=True)
    (big / "first.png").write_text("finished")
    code, out, _ = run_upscale(capsys, photos, "-o", big, "--resume")
    assert (code, out.endswith(" s, 1 skipped\n")) == (0, True)
    assert (big / "first.png").read_text() == "finished"
    assert read_image(big / "summer" / "second.tif").pixels.shape == (50, 36, 3)
    future = time.time_ns() + 10**10
    os.utime(photos / "first.png", ns=(future, future))
    report = json.loads(run_upscale(capsys, photos, "-o", big, "--resume", "--json")[1])
    assert [outcome["status"] for outcome in report["outcomes"]] == ["skipped", "done"]
    assert read_image(big / "first.png").pixels.shape == (40, 62, 3)


def test_module_shows_a_progress_bar(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "odd\n[bold]:smile:.png").write_text("not an image")
    leader, follower = pty.openpty()
    monkeypatch.setattr(sys, "argv", ["srblocks-upscale", str(photos), "-o", str(tmp_path / "big")])
    for name, value in {"TERM": "xterm", "COLUMNS": "150", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    with os.fdopen(follower, "w") as terminal, pytest.raises(SystemExit, match="^10$"):
        monkeypatch.setattr(sys, "stderr", terminal)
        runpy.run_module("srblocks.inference", run_name="__main__")
    shown = os.read(leader, 10**6).decode()
    os.close(leader)
    assert "3/3" in shown
    assert " MP/s" in shown
    assert "odd\\n[bold]:smile:.png': not a supported PNG, JPEG" in shown


def test_tiling_error_of_global_networks_is_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    net = create_network("rcan", scale=2, width=8, groups=1, blocks_per_group=1, reduction=4)
    save_checkpoint(net, tmp_path / "rcan.safetensors")
    inputs = [tmp_path / "small.png", tmp_path / "large.png"]
    for path, side in zip(inputs, (60, 100), strict=True):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)).save(path)
    options = ["--model", tmp_path / "rcan.safetensors", "--tile", 80]
    code, out, err = run_upscale(capsys, *inputs, "-o", tmp_path / "out", *options, "--json")
    report = json.loads(out)
    assert code == 0
    assert [outcome["approximate"] for outcome in report["outcomes"]] == [False, True]
    (warning,) = err.splitlines()
    assert "large.png: approximate: upscaled in tiles by a network with a global receptive field" in warning
    measured = report["approximation"]
    assert measured["source"] == str(tmp_path / "large.png")
    assert (measured["height"], measured["width"], measured["tile"]) == (80, 80, 40)
    assert measured["psnr"] < 120
    _, out, _ = run_upscale(capsys, inputs[1], "-o", tmp_path / "out", *options, "--force")
    assert "approximate: tiles of 40 against the entire image: PSNR " in out
    code, out, err = run_upscale(capsys, inputs[0], "-o", tmp_path / "one", *options, "--json")
    assert (json.loads(out)["approximation"], err) == (None, "")


def test_arguments_of_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    torch.save(authors_state("FSRCNN 56-12-4 Y x2"), tmp_path / "net.pth")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    options = [tmp_path / "a.png", "-o", tmp_path / "out", "--model", tmp_path / "net.pth", "-q"]
    code, _, err = run_upscale(capsys, *options)
    assert (code, "use --scale" in err) == (2, True)
    code, _, err = run_upscale(capsys, *options, "--scale", 2, "--arg", "no_such=8")
    assert (code, "no_such" in err) == (2, True)
    assert run_upscale(capsys, *options, "--scale", 2, "--arg", "value_range=255")[0] == 0
    code, _, err = run_upscale(capsys, tmp_path / "a.png", "-o", tmp_path / "out", "--arg", "width=8", "--force")
    assert (code, "arguments can only be passed with a weights file" in err) == (2, True)


def test_network_option_identifies_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    torch.save(create_network("edsr_baseline", scale=2, depth=1).state_dict(), tmp_path / "net.pth")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    options = [tmp_path / "a.png", "-o", tmp_path / "out", "--model", tmp_path / "net.pth", "-q", "--arg", "depth=1"]
    assert run_upscale(capsys, *options)[0] == 9
    assert run_upscale(capsys, *options, "--network", "edsr_baseline") == (0, "", "")
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.size == (18, 18)
    code, _, err = run_upscale(capsys, *options, "--network", "edsr_basic", "--force")
    assert (code, "did you mean edsr_baseline" in err) == (2, True)
    code, _, err = run_upscale(capsys, tmp_path / "a.png", "-o", tmp_path / "b", "--network", "fsrcnn")
    assert (code, "network can only be passed with a weights file" in err) == (2, True)

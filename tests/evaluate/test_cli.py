"""The `srblocks-evaluate` command."""

import io
import json
import runpy
import struct
import sys
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.support import filled, outcome
from srblocks import create_network, load_pretrained, save_checkpoint
from srblocks.color import rgb_to_y
from srblocks.evaluate import evaluate, image_files, means, run
from srblocks.evaluate.cli import main
from srblocks.inference import from_network
from srblocks.metrics import psnr, ssim
from srblocks.networks import network_name
from srblocks.resize import imresize
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network

run_evaluate = partial(outcome, main)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two smooth images of odd sizes, and a text file."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, (height, width) in {"first.png": (41, 50), "second.bmp": (38, 45)}.items():
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(y / (3 + channel) + x / 5) for channel in range(3)]
        Image.fromarray((127.5 + 100 * np.dstack(waves)).astype(np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the bundled FSRCNN x2 as net.ts, for any size, and small.ts, for 20x23 pixels."""
    folder, net = tmp_path_factory.mktemp("artifacts"), load_pretrained("fsrcnn", scale=2)
    for name, shape in (("net", None), ("small", (1, 1, 20, 23))):
        config = ExportConfig(formats=("torchscript",), out=folder, name=name, shape=shape, verify="off")
        assert export_network(net, config)[0].error is None
    return folder


@pytest.fixture
def edsr(tmp_path: Path) -> Path:
    net = filled(create_network("edsr_baseline", scale=3, depth=1, width=4))
    save_checkpoint(net, tmp_path / "edsr.safetensors")
    return tmp_path / "edsr.safetensors"


def deep_png(height: int, width: int) -> bytes:
    """Return a 16-bit RGB PNG file, which Pillow cannot write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x12\x34" * 3 * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def cropped(path: Path, scale: int) -> np.ndarray:
    with Image.open(path) as image:
        rgb = np.asarray(image)
    return rgb[: rgb.shape[0] // scale * scale, : rgb.shape[1] // scale * scale]


def test_scores_on_luma(capsys: pytest.CaptureFixture[str], images: Path) -> None:
    code, out, err = run_evaluate(capsys, "fsrcnn", "--data", images, "--scale", 2, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    net, expected = load_pretrained("fsrcnn", scale=2), []
    for path in (images / "first.png", images / "second.bmp"):
        luma = rgb_to_y(cropped(path, 2))
        with torch.no_grad():
            sr = net(torch.from_numpy(imresize(luma, 0.5)[None, None]).float())[0, 0].clamp(0, 1).double().numpy()
        scores = (psnr(sr, luma, crop_border=2), ssim(sr, luma, crop_border=2))
        expected.append({"image": path.name, "psnr": pytest.approx(scores[0]), "ssim": pytest.approx(scores[1])})
    assert report["images"] == expected
    assert report["mean"]["psnr"] == pytest.approx(np.mean([each["psnr"] for each in report["images"]]))
    assert (report["scale"], report["color"], report["failed"]) == (2, "y", {})


def test_scores_on_rgb(capsys: pytest.CaptureFixture[str], images: Path, edsr: Path) -> None:
    code, out, _ = run_evaluate(capsys, "--weights", edsr, "--data", images / "first.png", "--scale", 3, "--json")
    assert code == 0
    report = json.loads(out)
    rgb = cropped(images / "first.png", 3)
    net = filled(create_network("edsr_baseline", scale=3, depth=1, width=4))
    with torch.no_grad():
        sr = net(torch.from_numpy(imresize(rgb, 1 / 3).transpose(2, 0, 1)[None] / 255).float())[0].permute(1, 2, 0)
    rounded = (sr.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    assert report["mean"]["psnr"] == pytest.approx(psnr(rgb_to_y(rounded), rgb_to_y(rgb), crop_border=3), abs=1e-4)
    assert report["color"] == "rgb"
    assert "8 bits" in report["protocol"]


def test_report_is_a_table(capsys: pytest.CaptureFixture[str], images: Path) -> None:
    code, out, err = run_evaluate(capsys, "--data", images, "--scale", 3)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "fsrcnn (bundled weights) x3"
    assert [line.split()[0] for line in lines[2:5]] == ["first.png", "second.bmp", "mean"]
    assert lines[5].startswith("protocol: luma (studio range) of the RGB image, downscaled by MATLAB bicubic")
    assert "3 border pixels cropped" in lines[5]


def test_artifact_scores_match_its_network(capsys: pytest.CaptureFixture[str], images: Path, artifacts: Path) -> None:
    code, out, err = run_evaluate(capsys, "--artifact", artifacts / "net.ts", "--data", images, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    net = load_pretrained("fsrcnn", scale=2)
    reference = means(list(evaluate(from_network(net, "net"), image_files(images))))
    assert (found["color"], found["scale"]) == ("y", 2)
    assert found["mean"]["psnr"] == pytest.approx(reference.psnr, abs=0.001)
    assert found["mean"]["ssim"] == pytest.approx(reference.ssim, abs=0.0001)
    code, _, err = run_evaluate(capsys, "--artifact", artifacts / "net.ts", "--scale", 3, "--data", images)
    assert (code, "net.ts has scale 2, not 3; remove --scale" in err) == (2, True)


def test_static_artifact_scores_images_that_fit(
    capsys: pytest.CaptureFixture[str], images: Path, artifacts: Path
) -> None:
    code, out, err = run_evaluate(capsys, "--artifact", artifacts / "small.ts", "--data", images, "--json")
    assert code == 10
    assert "first.png: " in err
    assert [score["image"] for score in json.loads(out)["images"]] == ["second.bmp"]


def test_unreadable_images_are_reported_and_skipped(capsys: pytest.CaptureFixture[str], images: Path) -> None:
    (images / "broken.png").write_bytes((images / "first.png").read_bytes()[:200])
    (images / "text.jpg").write_text("not an image")
    Image.fromarray(np.zeros((30, 30), np.uint16)).save(images / "deep.png")
    (images / "deep_color.png").write_bytes(deep_png(30, 30))
    Image.fromarray(np.zeros((3, 3, 3), np.uint8)).save(images / "tiny.png")
    code, out, err = run_evaluate(capsys, "--data", images, "--scale", 2, "--json")
    assert code == 10
    report, names = json.loads(out), {"broken.png", "text.jpg", "deep.png", "deep_color.png", "tiny.png"}
    assert [score["image"] for score in report["images"]] == ["first.png", "second.bmp"]
    assert {Path(path).name for path in report["failed"]} == names
    assert "deep.png: 16-bit images are not supported" in err
    assert "deep_color.png: 16-bit images are not supported" in err
    for path in images.iterdir():
        if path.stem in ("first", "second"):
            path.unlink()
    assert run_evaluate(capsys, "--data", images, "--scale", 2)[0] == 9


def test_scale_defaults_to_the_weights(capsys: pytest.CaptureFixture[str], images: Path, tmp_path: Path) -> None:
    (images / "._first.png").write_bytes(b"hidden")
    for net in (create_network("espcn", scale=3), create_network("vdsr", scale=1, depth=2, width=4)):
        save_checkpoint(net, tmp_path / f"{network_name(net)}.safetensors")
    code, out, err = run_evaluate(capsys, "--data", images, "--weights", tmp_path / "espcn.safetensors", "--json")
    assert (code, json.loads(out)["scale"], err) == (0, 3, "")
    assert json.loads(run_evaluate(capsys, "--data", images, "--json")[1])["scale"] == 2
    assert json.loads(run_evaluate(capsys, "fsrcnn_x4", "--data", images, "--json")[1])["scale"] == 4
    code, _, err = run_evaluate(capsys, "--data", images, "--weights", tmp_path / "vdsr.safetensors")
    assert (code, "weights of vdsr support any scale; pass the scale" in err) == (2, True)


def test_usage_errors(capsys: pytest.CaptureFixture[str], images: Path) -> None:
    for arguments, code, message in (
        (["--scale", "2", "--data", "nowhere"], 2, "no such file or directory: nowhere"),
        (["edsr_bas", "--scale", "2"], 2, "unknown network 'edsr_bas'; did you mean edsr_baseline"),
        (["fsrcnn_x3", "--scale", "2"], 2, "fsrcnn_x3 has scale 3, not 2; use fsrcnn"),
        (["fsrcnn", "--scale", "5"], 2, "fsrcnn does not support scale 5; use 2, 3, 4"),
        (["--scale", "2", "--weights", "missing.pth"], 9, "missing.pth"),
        (["--scale", "2", "--arg", "width=3"], 2, "--arg requires --weights"),
        (["--scale", "2", "--weights", "x.pth", "--arg", "width:3"], 2, "--arg must be KEY=VALUE"),
        (["vdsr", "--scale", "2", "--weights", "x.pth", "--arg", "bias=no"], 2, "--arg bias must be of type bool"),
        (["--scale", "0", "--weights", "x.pth"], 2, "x.pth: scale must be an integer from 1 to 64, got 0"),
        (["--scale", "2", "--device", "abacus"], 4, "device abacus is not available; use cpu"),
        (["--artifact", "x.onnx", "--arg", "a=1"], 2, "remove NETWORK, --weights, --arg and --device"),
        (["--artifact", "missing.onnx"], 9, "missing.onnx"),
        (["fsrcnn", "--artifact", "net.onnx"], 2, "--artifact includes network, weights and device"),
        (["vdsr"], 2, "no bundled weights for vdsr; available: fsrcnn_x2"),
        (["--scale", "two"], 2, 'unable to convert "two" into int; see srblocks-evaluate --help'),
    ):
        data = [] if "--data" in arguments else ["--data", images]
        found, out, err = run_evaluate(capsys, *arguments, *data)
        assert (found, out, err.count("\n")) == (code, "", 1), arguments
        assert message in err, arguments


def test_weights_require_their_scale_and_missing_arguments(
    capsys: pytest.CaptureFixture[str], images: Path, edsr: Path, tmp_path: Path
) -> None:
    code, _, err = run_evaluate(capsys, "--weights", edsr, "--scale", 2, "--data", images)
    assert (code, "weights of edsr_baseline for scale 3, not 2" in err) == (2, True)
    plain = create_network("edsr_baseline", scale=3, depth=1, width=4, mean_shift=False)
    renamed = {"head": "head.0", "body.0.conv1": "body.0.body.0", "body.0.conv2": "body.0.body.2", "body.1": "body.1"}
    renamed |= {"upsampler.0": "tail.0.0", "tail": "tail.1"}
    state = plain.state_dict()
    foreign = {f"{new}.{leaf}": state[f"{old}.{leaf}"] for old, new in renamed.items() for leaf in ("weight", "bias")}
    torch.save(foreign, tmp_path / "foreign.pth")
    code, _, err = run_evaluate(capsys, "--weights", tmp_path / "foreign.pth", "--scale", 3, "--data", images)
    assert (code, "use --arg value_range=VALUE (255 or 1)" in err) == (2, True)
    arguments = ["--weights", tmp_path / "foreign.pth", "--scale", 3, "--arg", "value_range=255", "--data", images]
    assert run_evaluate(capsys, *arguments)[0] == 0


def test_interruption(capsys: pytest.CaptureFixture[str], images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "open_upscaler", interrupt)
    assert run_evaluate(capsys, "--data", images, "--scale", 2) == (130, "", "srblocks-evaluate: interrupted\n")


def test_module_escapes_unprintable_names(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (images / "first.png").rename(images / "f\u00fcrst\n.png")
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, "ascii"))
    monkeypatch.setattr(sys, "argv", ["srblocks-evaluate", "--data", str(images), "--scale", "4"])
    with pytest.raises(SystemExit, match="^0$"):
        runpy.run_module("srblocks.evaluate", run_name="__main__")
    text = output.getvalue().decode("ascii")
    assert text.startswith("fsrcnn (bundled weights) x4\n")
    assert "'f\\xfcrst\\n.png' " in text


def test_errors_as_json(capsys: pytest.CaptureFixture[str], images: Path) -> None:
    for arguments, code in ((["--scale", "two"], 2), (["--data", "nowhere"], 2), (["--weights", "x.pth"], 9)):
        found, out, err = run_evaluate(capsys, "--data", images, *arguments, "--json")
        report = json.loads(out)
        assert (found, report["exit_code"], f"srblocks-evaluate: {report['error']}\n") == (code, code, err), arguments

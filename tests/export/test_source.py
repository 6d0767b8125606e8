"""Networks, weights and colors on the command line of `srblocks-export`."""

import json
from pathlib import Path

import pytest
import torch

from helpers.support import PORTABLE, authors_state, run
from srblocks import OnLuma, create_network, load_pretrained, save_checkpoint
from srblocks_export import formats
from srblocks_export.runtime import load

pytestmark = pytest.mark.usefixtures("one_verifier")


@pytest.fixture
def espcn(tmp_path: Path) -> Path:
    torch.save(authors_state("ESPCN Y x2"), tmp_path / "original.pth")
    return tmp_path / "original.pth"


@pytest.fixture
def bare_edsr(tmp_path: Path) -> Path:
    """Weights in the layout of EDSR-PyTorch, without the convolutions that reveal the value range."""
    state = {name: tensor for name, tensor in authors_state("EDSR baseline x2").items() if "_mean" not in name}
    torch.save(state, tmp_path / "edsr.pth")
    return tmp_path / "edsr.pth"


def test_luma_network_is_exported_for_rgb_in_every_format(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = run(capsys, "--color", "rgb", *(f"--{name}" for name in PORTABLE), "-o", tmp_path)
    assert (code, err) == (0, "")
    lr = torch.rand(2, 3, 15, 11)
    expected = OnLuma(load_pretrained("fsrcnn", scale=2))(lr).detach()
    for name in PORTABLE:
        artifact = load(tmp_path / f"fsrcnn_x2_rgb_fp32_dyn{formats.FORMATS[name].suffix}")
        torch.testing.assert_close(artifact(lr), expected, rtol=0, atol=2e-5)
        assert artifact.path.name in out
        assert (artifact.network, artifact.manifest.model.color, artifact.color) == ("fsrcnn", "y", "rgb")
        assert artifact.config["width"] == 56
    for entry in json.loads((tmp_path / "manifest.json").read_text())["artifacts"]:
        assert entry["io"]["input"]["color"] == "rgb"


def test_color_of_the_network_is_the_default(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "/fsrcnn_x2_fp32_dyn.onnx" in run(capsys, "--color", "y", "--dry-run", "-o", tmp_path)[1]
    arguments = ["edsr_baseline", "--arg", "depth=1", "--color", "rgb", "--dry-run", "-o", tmp_path]
    assert "edsr_baseline_x2_fp32_dyn.onnx" in run(capsys, *arguments)[1]


def test_rgb_network_cannot_be_exported_for_luma(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "edsr_baseline", "--color", "y", "-o", tmp_path)
    assert (code, "E206 the network works on rgb images, not on y; remove the color" in err) == (2, True)


def test_weights_of_the_authors_are_recognized(espcn: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lr = torch.rand(1, 1, 8, 9)
    expected = create_network("espcn", weights=espcn).eval()(lr).detach()
    for flags in ([], ["--weights"]):
        options = ["--torchscript", "--verify", "off", "--force", "-o", tmp_path / "out"]
        assert run(capsys, *flags, espcn, *options)[::2] == (0, ""), flags
        torch.testing.assert_close(load(tmp_path / "out" / "espcn_x2_fp32_dyn.ts")(lr), expected)


def test_weights_must_belong_to_the_named_network(
    espcn: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(capsys, "espcn", "--weights", espcn, "--torchscript", "--verify", "off", "-o", out)[0] == 0
    code, _, err = run(capsys, "fsrcnn", "--weights", espcn, "-o", out)
    assert code == 9
    assert "E901" in err
    assert "original.pth: weights of espcn in the layout of yjn870, not of FSRCNN" in err


def test_scale_error_names_the_scale_of_the_weights(
    espcn: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, espcn, "--scale", "3", "-o", tmp_path)
    assert code == 2
    assert "E205" in err
    assert "weights of espcn for scale 2, not 3; use scale 2" in err


def test_arguments_missing_from_the_weights_are_required(
    bare_edsr: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, bare_edsr, "-o", tmp_path)
    assert code == 2
    assert "E206" in err
    assert "value_range (255 or 1); use --scale, or --arg NAME=VALUE" in err
    arguments = ["--arg", "value_range=255", "--torchscript", "--verify", "off", "-o", tmp_path]
    assert run(capsys, bare_edsr, *arguments)[0] == 0
    assert load(tmp_path / "edsr_baseline_x2_fp32_dyn.ts").config["value_range"] == 255


def test_weights_for_any_scale_warn_about_the_default(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    torch.save(authors_state("SRCNN 9-5-5 Y (input at HR size)"), tmp_path / "srcnn.pth")
    arguments = ["--torchscript", "--verify", "off", "-o", tmp_path, "-q"]
    code, _, err = run(capsys, tmp_path / "srcnn.pth", *arguments)
    assert code == 0
    assert "warning: at scale 1 the network takes images that are upscaled already" in err
    code, _, err = run(capsys, "srcnn", "--weights", tmp_path / "srcnn.pth", *arguments)
    assert (code, "warning: the weights support any scale, using x2; choose another with --scale" in err) == (0, True)
    assert (tmp_path / "srcnn_x2_fp32_dyn.ts").is_file()
    assert run(capsys, tmp_path / "srcnn.pth", "--scale", "3", *arguments) == (0, "", "")
    assert load(tmp_path / "srcnn_x3_fp32_dyn.ts")(torch.rand(1, 1, 5, 6)).shape == (1, 1, 15, 18)


def test_scale_is_read_from_the_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_checkpoint(create_network("vdsr", scale=4, depth=2, width=4), file)
    for source in (["vdsr", "--weights"], ["--weights"], []):
        code, out, err = run(capsys, *source, file, "--torchscript", "--dry-run", "-o", tmp_path)
        assert (code, err, "vdsr_x4_fp32_dyn.ts" in out) == (0, "", True), source


def test_multi_scale_weights_warn_about_the_default(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    save_checkpoint(create_network("carn_m", width=8), tmp_path / "carn_m.safetensors")
    code, _, err = run(
        capsys, tmp_path / "carn_m.safetensors", "--torchscript", "--verify", "off", "-o", tmp_path, "-q"
    )
    assert code == 0
    assert "warning: the weights support x2, x3, x4, using x2; choose another with --scale" in err
    assert load(tmp_path / "carn_m_x2_fp32_dyn.ts").scale == 2


def test_two_weights_files_are_rejected(espcn: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    save_checkpoint(create_network("espcn", scale=2), tmp_path / "ours.safetensors")
    code, _, err = run(capsys, espcn, "--weights", tmp_path / "ours.safetensors", "-o", tmp_path)
    assert (code, "E206 two weights files: " in err) == (2, True)

"""From the words of a command line to the network that is exported: weights of any layout, colors."""

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
    torch.save(authors_state("ESPCN Y x2"), tmp_path / "theirs.pth")
    return tmp_path / "theirs.pth"


@pytest.fixture
def bare_edsr(tmp_path: Path) -> Path:
    """EDSR-PyTorch's layout without the convolutions that show the value range."""
    state = {name: tensor for name, tensor in authors_state("EDSR baseline x2").items() if "_mean" not in name}
    torch.save(state, tmp_path / "edsr.pth")
    return tmp_path / "edsr.pth"


def test_a_network_on_luma_is_exported_for_rgb_images_in_every_format(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
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


def test_a_color_that_the_network_has_changes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, "--color", "y", "--torchscript", "-o", tmp_path)[0] == 0
    assert (tmp_path / "fsrcnn_x2_fp32_dyn.ts").is_file()
    arguments = ["edsr_baseline", "--arg", "depth=1", "--color", "rgb", "--dry-run", "-o", tmp_path]
    assert "edsr_baseline_x2_fp32_dyn.onnx" in run(capsys, *arguments)[1]


def test_a_color_network_is_not_exported_for_luma(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "edsr_baseline", "--color", "y", "-o", tmp_path)
    assert (code, "E206 the network works on rgb images, not on y; remove the color" in err) == (2, True)


@pytest.mark.parametrize("flags", [[], ["--weights"]])
def test_other_peoples_weights_are_enough(
    flags: list[str], espcn: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, *flags, espcn, "--torchscript", "--verify", "off", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    artifact = load(tmp_path / "out" / "espcn_x2_fp32_dyn.ts")
    lr = torch.rand(1, 1, 8, 9)
    torch.testing.assert_close(artifact(lr), create_network("espcn", weights=espcn).eval()(lr).detach())


def test_a_named_network_takes_other_peoples_weights(
    espcn: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(capsys, "espcn", "--weights", espcn, "--torchscript", "--verify", "off", "-o", out)[0] == 0
    code, _, err = run(capsys, "fsrcnn", "--weights", espcn, "-o", out)
    assert code == 9
    assert "E901" in err
    assert "theirs.pth: weights of espcn in the layout of yjn870, not of FSRCNN" in err


def test_a_wrong_scale_is_said_with_the_weights_own(
    espcn: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, espcn, "--scale", "3", "-o", tmp_path)
    assert code == 2
    assert "E205" in err
    assert "weights of espcn for scale 2, not 3; use scale 2" in err


def test_what_the_weights_do_not_show_is_asked_for_and_taken(
    bare_edsr: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, bare_edsr, "-o", tmp_path)
    assert code == 2
    assert "E206" in err
    assert "value_range (255 or 1); use --scale, or --arg NAME=VALUE" in err
    arguments = ["--arg", "value_range=255", "--torchscript", "--verify", "off", "-o", tmp_path]
    assert run(capsys, bare_edsr, *arguments)[0] == 0
    assert load(tmp_path / "edsr_baseline_x2_fp32_dyn.ts").config["value_range"] == 255


def test_weights_that_serve_all_scales_warn_when_none_is_chosen(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
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


@pytest.mark.parametrize("source", [["vdsr", "--weights"], ["--weights"], []])
def test_weights_that_record_their_scale_keep_it(
    source: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["--torchscript", "--verify", "off"]
    save_checkpoint(create_network("vdsr", scale=4, depth=2, width=4), tmp_path / "ours.safetensors")
    assert run(capsys, *source, tmp_path / "ours.safetensors", *options, "-o", tmp_path, "-q") == (0, "", "")
    assert load(tmp_path / "vdsr_x4_fp32_dyn.ts").scale == 4


def test_weights_for_several_scales_say_which_one_is_exported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    save_checkpoint(create_network("carn_m", width=8), tmp_path / "carn_m.safetensors")
    code, _, err = run(
        capsys, tmp_path / "carn_m.safetensors", "--torchscript", "--verify", "off", "-o", tmp_path, "-q"
    )
    assert code == 0
    assert "warning: the weights support x2, x3, x4, using x2; choose another with --scale" in err
    assert load(tmp_path / "carn_m_x2_fp32_dyn.ts").scale == 2


def test_two_sources_of_weights_are_one_too_many(
    espcn: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    save_checkpoint(create_network("espcn", scale=2), tmp_path / "ours.safetensors")
    code, _, err = run(capsys, espcn, "--weights", tmp_path / "ours.safetensors", "-o", tmp_path)
    assert (code, "E206 two weights files: " in err) == (2, True)


def test_the_summary_says_the_colors(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["--color", "rgb", "--torchscript", "--verify", "off", "--json", "-o", tmp_path]
    (artifact,) = json.loads(run(capsys, *arguments)[1])["artifacts"]
    assert artifact["manifest"]["io"]["input"]["color"] == "rgb"

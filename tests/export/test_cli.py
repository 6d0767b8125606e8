"""The command line of `srblocks-export`: files and output."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.support import PORTABLE, run
from srblocks import create_network, load_pretrained, save_checkpoint
from srblocks.checkpoints import load_weights
from srblocks_export import formats
from srblocks_export.runtime import load

ONE_BLOCK = ["--arg", "groups=1", "--arg", "blocks_per_group=1"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "espcn.safetensors"
    save_checkpoint(create_network("espcn", scale=3), path)
    return path


def test_without_a_model_the_bundled_default_goes_to_every_format(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats.base, "cxx_compiler", lambda: None)
    code, out, err = run(capsys, "--all", "-o", tmp_path / "new" / "folder")
    assert (code, err) == (0, "")
    lr = torch.rand(1, 1, 15, 11)
    for name in PORTABLE:
        artifact = load(tmp_path / "new" / "folder" / f"fsrcnn_x2_fp32_dyn{formats.FORMATS[name].suffix}")
        assert torch.allclose(artifact(lr), load_pretrained("fsrcnn", scale=2)(lr), atol=1e-5)
        assert artifact.path.name in out


def test_the_default_format_is_onnx_and_scale_and_arguments_are_taken(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, "vdsr", "--scale", "3", "--arg", "depth=3", "--arg", "bias=False", "-o", tmp_path, "-q")
    assert code == 0
    warning = "warning: random weights (seed 0) for vdsr x3; pass trained ones with --weights"
    assert err == f"srblocks-export: {warning}\n"
    (entry,) = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]
    assert entry["warnings"] == [warning]
    config = load(tmp_path / "vdsr_x3_fp32_dyn.onnx").config
    assert (config["depth"], config["bias"], config["scale"]) == (3, False, 3)


def test_weights_come_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, weights: Path) -> None:
    for arguments in (["espcn", "--scale", "3", "--weights", weights], [weights]):
        out = tmp_path / f"out{len(arguments)}"
        code, _, err = run(capsys, *arguments, "--torchscript", "--verify", "off", "-o", out)
        assert (code, err) == (0, "")
        reference = create_network("espcn", scale=3)
        load_weights(reference, weights)
        lr = torch.rand(1, 1, 9, 9)
        assert torch.equal(load(out / "espcn_x3_fp32_dyn.ts")(lr), reference.eval()(lr).detach())


def test_weights_with_branches_for_several_scales_serve_each_of_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    net, file = create_network("carn_m", width=8).eval(), tmp_path / "carn_m.safetensors"
    save_checkpoint(net, file)
    lr = torch.rand(1, 3, 6, 5)
    for scale, arguments in ((3, [file, "--scale", "3"]), (4, ["carn_m", "--scale", "4", "--arg", "width=8"])):
        weights = [] if arguments[0] == file else ["--weights", file]
        options = ["--torchscript", "--verify", "off", "-o", tmp_path / str(scale), "-q"]
        code, _, err = run(capsys, *arguments, *weights, *options)
        assert code == 0, err
        artifact = load(tmp_path / str(scale) / f"carn_m_x{scale}_fp32_dyn.ts")
        torch.testing.assert_close(artifact(lr), net.at_scale(scale)(lr))
    code, _, err = run(capsys, file, "--scale", "8")
    assert code == 2
    assert "weights of carn_m for scale 2 or 3 or 4, not 8" in err


def test_a_file_named_like_a_network_does_not_hide_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fsrcnn").write_text("mine")
    assert run(capsys, "fsrcnn", "--dry-run")[0] == 0


@pytest.mark.usefixtures("one_verifier")
def test_json_goes_to_standard_output_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, "--torchscript", "--json", "-o", tmp_path)
    summary = json.loads(out)
    assert code == summary["exit_code"] == 0
    (artifact,) = summary["artifacts"]
    assert Path(artifact["file"]).is_file()
    assert artifact["manifest"]["verify"]["status"] == "pass"
    assert len(artifact["manifest"]["verify"]["cases"]) >= 3


def test_check_env_and_dry_run_write_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, "--check-env", "--json")
    assert code == 0
    assert json.loads(out)["packages"]["torch"] == importlib.metadata.version("torch")
    code, out, _ = run(capsys, "rcan", *ONE_BLOCK, "--dry-run", "--all", "-o", tmp_path)
    assert code == 0
    assert "RCAN x2, input 1..x3x4..x4.." in out
    assert "tail_collapse: rewrote upsampler.0" in out
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "fsrcnn_x2_fp32_dyn.onnx").write_text("")
    assert run(capsys, "--dry-run", "-o", tmp_path)[0] == 3


def test_a_dry_run_creates_no_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, "--dry-run", "-o", tmp_path / "not" / "there")[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_list_names_every_network(capsys: pytest.CaptureFixture[str]) -> None:
    from srblocks import list_networks

    code, out, _ = run(capsys, "--list", "--precision", "bf16")  # which no ONNX file has
    assert code == 0
    assert [name for name in list_networks() if f"{name} " not in out] == []


def test_a_static_shape_is_in_the_name_and_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, "--onnx", "--shape", "1,1,12,20", "-o", tmp_path)[0] == 0
    artifact = load(tmp_path / "fsrcnn_x2_fp32_1x1x12x20.onnx")
    assert artifact(np.zeros((1, 1, 12, 20), np.float32)).shape == (1, 1, 24, 40)
    with pytest.raises(ValueError, match=r"height 20 is outside 12..12; use 1x1x12x20"):
        artifact(np.zeros((1, 1, 20, 12), np.float32))


@pytest.mark.parametrize("arguments,code", [(["--help"], 0), (["--nonsense"], 2), (["--shape", "x"], 2)])
def test_help_and_wrong_flags_come_without_importing_torch(arguments: list[str], code: int, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "srblocks_export.cli", *arguments]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == code
    assert "torch was imported" not in found.stderr

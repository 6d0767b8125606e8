"""The `srblocks-export` command: files and output."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.support import run
from srblocks import create_network, list_networks, save_checkpoint
from srblocks_export.runtime import load

pytestmark = pytest.mark.usefixtures("one_verifier")

ONE_BLOCK = ["--arg", "groups=1", "--arg", "blocks_per_group=1"]


def test_default_format_is_onnx(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small = ["--arg", "depth=3", "--arg", "bias=False", "--arg", "width=8"]
    code, _, err = run(capsys, "vdsr", "--scale", "3", *small, "-o", tmp_path, "-q")
    assert code == 0
    warning = "warning: random weights (seed 0) for vdsr x3; pass trained ones with --weights"
    assert err == f"srblocks-export: {warning}\n"
    (entry,) = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]
    assert entry["warnings"] == [warning]
    config = load(tmp_path / "vdsr_x3_fp32_dyn.onnx").config
    assert (config["depth"], config["bias"], config["scale"]) == (3, False, 3)


def test_weights_are_loaded_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    net = create_network("espcn", scale=3).eval()
    save_checkpoint(net, tmp_path / "weights.safetensors")
    lr = torch.rand(1, 1, 9, 9)
    for name, arguments in (("bare", []), ("named", ["espcn", "--scale", "3", "--weights"])):
        options = ["--torchscript", "--verify", "off", "-o", tmp_path / name]
        assert run(capsys, *arguments, tmp_path / "weights.safetensors", *options)[::2] == (0, ""), name
        assert torch.equal(load(tmp_path / name / "espcn_x3_fp32_dyn.ts")(lr), net(lr).detach()), name


def test_multi_scale_weights_are_exported_for_each_scale(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
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


def test_network_name_wins_over_a_file_of_that_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fsrcnn").write_text("mine")
    assert run(capsys, "fsrcnn", "--dry-run")[0] == 0


def test_json_is_the_only_output(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, "--torchscript", "--json", "-o", tmp_path)
    summary = json.loads(out)
    assert code == summary["exit_code"] == 0
    (artifact,) = summary["artifacts"]
    assert Path(artifact["file"]).is_file()
    assert artifact["manifest"]["verify"]["status"] == "pass"
    assert len(artifact["manifest"]["verify"]["cases"]) >= 3


def test_check_env_and_dry_run_write_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, "--check-env", "--onnx", "--json")
    assert code == 0
    assert json.loads(out)["packages"]["torch"] == importlib.metadata.version("torch")
    code, out, _ = run(capsys, "rcan", *ONE_BLOCK, "--dry-run", "--all", "-o", tmp_path)
    assert code == 0
    assert "RCAN x2, input 1..x3x4..x4.." in out
    assert "tail_collapse: rewrote upsampler.0" in out
    assert list(tmp_path.iterdir()) == []
    assert run(capsys, "--dry-run", "-o", tmp_path / "not" / "there")[0] == 0
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "fsrcnn_x2_fp32_dyn.onnx").write_text("")
    assert run(capsys, "--dry-run", "-o", tmp_path)[0] == 3


def test_list_names_every_network(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--list", "--precision", "bf16")  # not supported by the default format
    assert code == 0
    assert [name for name in list_networks() if f"{name} " not in out] == []


def test_static_shape_is_in_the_file_name_and_enforced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, "--torchscript", "--shape", "1,1,12,20", "--verify", "off", "-o", tmp_path)[0] == 0
    artifact = load(tmp_path / "fsrcnn_x2_fp32_1x1x12x20.ts")
    assert artifact(np.zeros((1, 1, 12, 20), np.float32)).shape == (1, 1, 24, 40)
    with pytest.raises(ValueError, match=r"height 20 is outside 12..12; use 1x1x12x20"):
        artifact(np.zeros((1, 1, 20, 12), np.float32))


def test_help_and_usage_errors_do_not_import_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    for arguments, code in ((["--help"], 0), (["--nonsense"], 2), (["--shape", "x"], 2)):
        command = [sys.executable, "-m", "srblocks_export.cli", *arguments]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert found.returncode == code, arguments
        assert "torch was imported" not in found.stderr, arguments

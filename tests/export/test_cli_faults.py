"""Invalid input and failures of `srblocks-export`: one-line errors, documented exit codes, no lost files."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.support import run
from srblocks import create_network, save_checkpoint
from srblocks_export import formats
from srblocks_export.runtime import load

INVALID = [
    (["edsr_basline"], 2, "E201 unknown network 'edsr_basline'; did you mean edsr_baseline or mdsr_baseline"),
    (["vdsr", "--scale", "7"], 2, "E205 vdsr does not support scale 7; use 2, 3, 4"),
    (
        ["vdsr", "--scale", "two"],
        2,
        'E200 invalid value for --scale: unable to convert "two" into int; see srblocks-export --help',
    ),
    (
        ["--shape", "banana"],
        2,
        "E203 invalid shape 'banana'; use NxCxHxW (batch, channels, height, width), such as",
    ),
    (["--shape", "1x1x0x5"], 2, "E203 invalid shape '1x1x0x5'"),
    (["--shape", "1x1x-4x5"], 2, "E203 invalid shape '1x1x-4x5'"),
    (
        ["--shape", "1x3x8x8"],
        2,
        "E202 --shape: shape 1x3x8x8: channels 3 is outside 1..1; the network accepts",
    ),
    (["vdsr", "--shape", "1x1x1x9"], 2, "E202 --shape: shape 1x1x1x9: height 1 is outside 2..any"),
    (["--min", "1x1x9x9", "--max", "1x1x4x9"], 2, "E202 --min height 9 is above --max height 4"),
    (["--shape", "1x1x9x9", "--min", "1x1x4x4"], 2, "E203 --shape excludes --min, --opt and --max"),
    (["--arg", "depth"], 2, "E206 --arg must be KEY=VALUE"),
    (
        ["vdsr", "--arg", "n_feats=3"],
        2,
        "E206 vdsr has no argument 'n_feats'; use one of image_channels, width, depth",
    ),
    (["vdsr", "--arg", "scale=3"], 2, "E206 --arg does not accept scale; use --scale"),
    (["vdsr", "--arg", "bias=no"], 2, "E206 --arg bias must be of type bool, like its default True"),
    (["vdsr", "--arg", "width=[[[["], 2, "E206 --arg width must be of type int, like its default 64"),
    (["vdsr", "--arg", "width=0"], 2, "E206 cannot build vdsr: conv: channels must be >= 1, got 0 in and 0 out"),
    (["rcan", "--arg", "groups=-1"], 2, "E206 cannot build rcan: RCAN: groups must not be negative, got -1"),
    (
        ["vdsr", "--arg", "value_range=Infinity"],
        2,
        "E206 --arg value_range must be of type float",
    ),
    (["--shape", ""], 2, "E203 invalid shape ''"),
    (["--shape", "1x1x8x99999999999"], 2, "E203 invalid shape '1x1x8x99999999999'"),
    (["--opset", "99"], 2, "E200 invalid opset 99; use 15 to 25"),
    (["--tolerance", "nan"], 2, 'E200 invalid value "nan" for --tolerance. must be a finite number >= 0'),
    (["--seed", "-1"], 2, 'E200 invalid value "-1" for --seed. must be in 0..2**63-1'),
    (["--name", ""], 2, "E200 invalid file name ''"),
    (["--name", ".."], 2, "E200 invalid file name '..'"),
    (["pyproject.toml"], 9, "E901 pyproject.toml: "),
    (["--weights", "absent.safetensors"], 9, "E902 absent.safetensors cannot be read (No such file or directory)"),
    (["absent.safetensors"], 9, "E902 absent.safetensors cannot be read"),
    (["--nonsense"], 2, "E200 unknown option: --nonsense"),
    (["--name", "../b"], 2, "E200 invalid file name '../b'"),
]


def test_invalid_input_is_a_one_line_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for arguments, code, message in INVALID:
        found, out, err = run(capsys, *arguments, "-o", tmp_path / "out")
        assert (found, out, err.count("\n")) == (code, "", 1), arguments
        assert err.startswith(f"srblocks-export: {message}"), arguments
        assert not (tmp_path / "out").exists(), arguments


def invalid_files(folder: Path) -> dict[str, Path]:
    """Write invalid weights files, and return their paths."""
    good = folder / "good.safetensors"
    save_checkpoint(create_network("espcn"), good)
    content = good.read_bytes()
    files = {
        "truncated": content[:-100],
        "text": b"<html>not found",
        "empty": b"",
        "garbled": content[:8] + b"{" * 500,
    }
    paths = {name: folder / f"{name}.safetensors" for name in files}
    for name, damaged in files.items():
        paths[name].write_bytes(damaged)
    paths["not finite"] = folder / "nan.safetensors"
    save_checkpoint(create_network("fsrcnn"), paths["not finite"])
    paths["not finite"].write_bytes(paths["not finite"].read_bytes()[:-4] + b"\0\0\xc0\x7f")
    paths["of another network"] = good
    return paths


def test_invalid_weights_files_are_rejected(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for kind, path in invalid_files(tmp_path).items():
        code, out, err = run(capsys, "fsrcnn", "--scale", "3", "--weights", path, "-o", tmp_path / "out")
        assert (code, out, err.count("\n")) == (9, "", 1), kind
        assert err.startswith(f"srblocks-export: E901 {path}"), kind
    save_checkpoint(create_network("fsrcnn", scale=2), tmp_path / "x2.safetensors")
    code, _, err = run(
        capsys, "fsrcnn", "--scale", "3", "--weights", tmp_path / "x2.safetensors", "-o", tmp_path / "out"
    )
    assert (code, "E205" in err, "weights of fsrcnn for scale 2, not 3" in err) == (2, True, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("one_verifier")
def test_export_refuses_to_overwrite_without_force(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "fsrcnn_x2_fp32_dyn.ts"
    path.write_text("precious")
    code, _, err = run(capsys, "--torchscript", "-o", tmp_path)
    assert (code, path.read_text()) == (3, "precious")
    assert err == f"srblocks-export: E301 {path} exists; use --force to overwrite it, or another folder with -o\n"
    assert run(capsys, "--torchscript", "-o", tmp_path, "--force")[0] == 0
    assert load(path).scale == 2


def test_unwritable_output_is_rejected_early(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run(capsys, "--torchscript", "-o", tmp_path / "file" / "below")
    assert code == 3
    assert "E302" in err
    assert "cannot be written (Not a directory); choose another folder with -o" in err


def test_interrupt_leaves_no_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from srblocks_export.formats.torchscript import exporter as torchscript

    def interrupt(net, path: Path, context) -> dict:
        path.write_bytes(b"half an artifact")
        raise KeyboardInterrupt

    monkeypatch.setattr(torchscript, "write", interrupt)
    assert run(capsys, "--torchscript", "-o", tmp_path)[0] == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("one_verifier")
def test_missing_backend_does_not_stop_other_formats(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = formats.Format("onnx", ".onnx", "", "", requires=("no_such_module",), extra="onnx")
    monkeypatch.setitem(formats.FORMATS, "onnx", absent)
    code, _, err = run(capsys, "--onnx", "--torchscript", "-o", tmp_path)
    assert code == 4
    assert err == 'srblocks-export: E401 onnx: no_such_module not installed; pip install "srblocks[onnx]"\n'
    assert load(tmp_path / "fsrcnn_x2_fp32_dyn.ts").scale == 2
    code, out, _ = run(capsys, "--check-env")
    assert code == 0
    assert 'pip install "srblocks[onnx]"' in out
    assert run(capsys, "--dry-run", "--onnx", "-o", tmp_path)[0] == 4


def test_verification_ignores_modules_in_the_current_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "numpy", "torch"):
        (tmp_path / f"{name}.py").write_text("print('read by accident')\nraise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "--torchscript", "-o", "out")[0] == 0


def test_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m srblocks_export.cli --list --json | true"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert (found.returncode, found.stderr) == (0, "")


def test_unreadable_manifest_is_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    for content in ("{half", "[]", '{"schema": "another"}'):
        manifest.write_text(content)
        code, _, err = run(capsys, "--torchscript", "--force", "-o", tmp_path)
        assert (code, manifest.read_text()) == (3, content)
        assert err.startswith(f"srblocks-export: E303 {manifest} is not a srblocks.export/1 manifest; move it away")
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    "failure,code,message",
    [
        (ImportError("libfoo.so.11: cannot open shared object file"), 4, "E401 onnx: libfoo.so.11: cannot open shared"),
        (
            AttributeError("no such thing"),
            1,
            "E100 onnx: internal error, AttributeError: no such thing; please",
        ),
    ],
)
@pytest.mark.usefixtures("one_verifier")
def test_failing_backend_does_not_stop_other_formats(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    code: int,
    message: str,
) -> None:
    from srblocks_export.formats.onnx import exporter as onnx

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(onnx, "write", fail)
    found, _, err = run(capsys, "--onnx", "--torchscript", "-o", tmp_path)
    assert found == code
    assert err.startswith(f"srblocks-export: {message}")
    assert load(tmp_path / "fsrcnn_x2_fp32_dyn.ts").scale == 2

"""The `trt_engine` command, which needs no torch and runs from a copy of its folder."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.support import REPOSITORY
from helpers.tensorrt_standin import Standin
from srblocks_export.formats.tensorrt import trt_engine
from srblocks_export.formats.tensorrt.trt_engine.__main__ import main

FOLDER = Path(trt_engine.__file__).parent


def manifest_entry(path: Path) -> dict[str, Any]:
    entries = json.loads((path.parent / "manifest.json").read_text())["artifacts"]
    return next(entry for entry in entries if entry["artifact"]["file"] == path.name)


def test_default_shapes_come_from_the_manifest(
    newest: Standin, dynamic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = dynamic.with_suffix(".engine")
    assert main([str(dynamic), "--hardware-compat", "ampere+", "--workspace", "512MiB"]) == 0
    assert "not verified" in capsys.readouterr().out
    assert json.loads(engine.read_bytes().partition(b"\n")[0])["profile"] == [
        "lr", [1, 1, 8, 8], [2, 1, 24, 32], [2, 1, 24, 32],
    ]  # fmt: skip
    entry = manifest_entry(engine)
    assert entry["artifact"]["portability"]["hardware"] == "ampere+"
    assert entry["io"]["input"]["opt"] == [2, 1, 24, 32]
    assert entry["model"] == manifest_entry(dynamic)["model"]
    assert newest.arguments("set_memory_pool_limit") == [("WORKSPACE", 512 * 2**20)]
    assert main([str(dynamic)]) == 3
    assert main([str(dynamic), "--force", "--opt", "1x1x16x16"]) == 0
    assert manifest_entry(engine)["io"]["input"]["opt"] == [1, 1, 16, 16]
    assert main([str(dynamic), "--force", "--max", "1x1x16x32"]) == 0
    assert manifest_entry(engine)["io"]["input"]["opt"] == [1, 1, 16, 32]
    assert len(json.loads((engine.parent / "manifest.json").read_text())["artifacts"]) == 2


def test_shapes_outside_the_manifest_are_an_error(
    newest: Standin, dynamic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(dynamic), "--max", "1x1x64x32"]) == 2
    assert "E202 --max: size 64 of axis 2 is out of range; use 8..24" in capsys.readouterr().err
    assert not dynamic.with_suffix(".engine").exists()
    assert newest.made == []


def test_modified_model_or_invalid_manifest_is_an_error(
    newest: Standin, fixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = fixed.read_bytes()
    fixed.write_bytes(content + b"\0")
    assert main([str(fixed)]) == 9
    assert "does not match its manifest entry" in capsys.readouterr().err
    fixed.write_bytes(content)
    (fixed.parent / "manifest.json").write_text("{}")
    assert main([str(fixed)]) == 9
    assert "is not a manifest of srblocks-export" in capsys.readouterr().err
    assert newest.made == []


def test_check_reports_whether_an_engine_fits(
    newest: Standin, fixed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fixed.with_suffix(".engine")
    assert main([str(fixed)]) == 0
    assert main([str(fixed), str(engine), "--check"]) == 0
    monkeypatch.setattr("srblocks_export.formats.tensorrt.trt_engine.host.compute_capability", lambda number=0: "7.5")
    assert main([str(fixed), str(engine), "--check"]) == 8
    assert f"E801 {engine.name}: built for a GPU of compute" in capsys.readouterr().err
    assert main([str(fixed), str(fixed.parent / "other.engine"), "--check"]) == 9


def test_model_without_manifest_needs_shapes(
    newest: Standin, dynamic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copy(dynamic, tmp_path / "x.onnx")
    assert main([str(model)]) == 2
    assert main([str(model), "--min", "1x1x4x4", "--opt", "1x1x8x8", "--max", "1x1x8x8"]) == 0
    assert "has no manifest.json" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["x.engine", "x.onnx"]


def test_failed_build_leaves_no_files(newest: Standin, fixed: Path) -> None:
    before = {path.name: path.read_bytes() for path in fixed.parent.iterdir()}
    for fault, text, code in (("no_engine", "out of memory", 7), ("parser_error", "Col2Im", 5), ("no_cuda", "", 4)):
        newest.faults = {fault: text}
        assert main([str(fixed)]) == code, fault
        assert {path.name: path.read_bytes() for path in fixed.parent.iterdir()} == before, fault


def test_exit_code_without_tensorrt(fixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert main([str(fixed)]) == 4


def test_invalid_memory_sizes_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("", "-1", "1.5GiB", "GiB"):
        with pytest.raises(SystemExit):
            main(["x.onnx", f"--workspace={text}"])
        assert "invalid size" in capsys.readouterr().err, text


def test_sources_are_python_3_9_with_standard_imports_only() -> None:
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(), feature_version=(3, 9))):
            if isinstance(node, ast.Import):
                assert {name.name for name in node.names} <= set(sys.stdlib_module_names), file
            if isinstance(node, ast.ImportFrom):
                siblings = node.level == 1 and (FOLDER / f"{node.module}.py").is_file()
                assert siblings or (node.module or "").partition(".")[0] in sys.stdlib_module_names, file
    for package in (FOLDER.parent, FOLDER.parent.parent):  # imported by `python -m`
        ast.parse((package / "__init__.py").read_text(), feature_version=(3, 9))


def test_command_runs_from_a_copy_of_the_folder(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "trt_engine", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "trt_engine", "absent.onnx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 9
    assert done.stderr == "trt_engine: E901 no such file: absent.onnx; pass the path of an ONNX file\n"


def test_command_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules.update(torch=None, numpy=None, srblocks=None)\n"
        "from srblocks_export.formats.tensorrt.trt_engine.__main__ import main\n"
        "sys.exit(main(['absent.onnx']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY / "export", capture_output=True, text=True, check=False
    )
    assert done.returncode == 9
    assert "E901 no such file: absent.onnx" in done.stderr

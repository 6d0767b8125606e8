"""The `trt_engine` command, which needs no torch and runs from a copy of its folder."""

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from helpers.support import REPOSITORY, needs_rtx
from helpers.tensorrt_standin import Standin, hide_driver
from srblocks_export.formats.tensorrt import trt_engine
from srblocks_export.formats.tensorrt.trt_engine.__main__ import main

FOLDER = Path(trt_engine.__file__).parent


def manifest_entry(path: Path) -> dict[str, Any]:
    entries = json.loads((path.parent / "manifest.json").read_text())["artifacts"]
    return next(entry for entry in entries if entry["artifact"]["file"] == path.name)


@needs_rtx
def test_default_shapes_come_from_the_manifest(dynamic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = dynamic.with_suffix(".rtx.engine")
    assert (
        main([str(dynamic), "--library", "tensorrt-rtx", "--compute-capability", "8.6,8.9", "--workspace", "512MiB"])
        == 0
    )
    assert "not verified" in capsys.readouterr().out
    entry = manifest_entry(engine)
    assert entry["artifact"]["format"] == "trt-rtx"
    assert entry["artifact"]["portability"]["compute_capabilities"] == ["8.6", "8.9"]
    assert entry["io"]["input"]["opt"] == [2, 1, 24, 32]
    assert entry["model"] == manifest_entry(dynamic)["model"]
    assert entry["verify"] == {"status": "off"}
    assert main([str(dynamic), str(engine)]) == 3
    for options, optimum in ((["--opt", "1x1x16x16"], [1, 1, 16, 16]), (["--max", "1x1x16x32"], [1, 1, 16, 32])):
        assert main([str(dynamic), str(engine), "--force", *options]) == 0
        assert manifest_entry(engine)["io"]["input"]["opt"] == optimum
    assert len(json.loads((engine.parent / "manifest.json").read_text())["artifacts"]) == 2


@needs_rtx
def test_errors_leave_no_files(
    dynamic: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in dynamic.parent.iterdir()}
    model = onnx.load(dynamic)
    model.graph.node[0].op_type = "Col2Im"
    foreign = dynamic.parent.parent / "foreign.onnx"
    onnx.save(model, foreign)
    sizes = ["--min", "1x1x8x8", "--opt", "1x1x8x8", "--max", "1x1x16x16"]
    cases: list[tuple[list[str], int, str]] = [
        ([str(dynamic), "--max", "1x1x64x32"], 2, "E202 --max: size 64 of axis 2 is out of range; use 8..24"),
        ([str(dynamic), str(dynamic.parent / "absent" / "x.rtx.engine")], 3, "no such folder"),
        (
            [str(dynamic), "--compute-capability", "9.0"],
            4,
            r"E403 TensorRT for RTX 1\S+ does not build for compute capability 9.0; use 7.5, 8.0, 8.6",
        ),
        ([str(dynamic), "--compute-capability", "current"], 4, "E402 no usable CUDA driver"),
        ([str(foreign), *sizes], 5, r"E503 TensorRT for RTX 1\S+: operator Col2Im is rejected"),
        (
            [str(dynamic), "--workspace", "1MiB"],
            7,
            r"E701 TensorRT for RTX: .*within workspace limit.*; lower --max, or raise --workspace",
        ),
        (
            [str(dynamic), "--version-compatible"],
            7,
            r"E702 TensorRT for RTX could not build .*lean.*; remove --version-compatible",
        ),
        ([str(dynamic.parent / "absent.onnx")], 9, "E901 no such file"),
    ]
    hide_driver(monkeypatch)
    for arguments, code, message in cases:
        assert main([*arguments, "--library", "tensorrt-rtx"]) == code, arguments
        assert re.search(message, capsys.readouterr().err), arguments
        assert {path.name: path.read_bytes() for path in dynamic.parent.iterdir()} == before, arguments
    content = dynamic.read_bytes()
    dynamic.write_bytes(content + b"\0")
    assert main([str(dynamic)]) == 9
    assert "does not match its manifest entry" in capsys.readouterr().err
    dynamic.write_bytes(content)
    (dynamic.parent / "manifest.json").write_text("{}")
    assert main([str(dynamic)]) == 9
    assert "is not a manifest of srblocks-export" in capsys.readouterr().err


@needs_rtx
def test_check_reports_whether_an_engine_fits(
    fixed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fixed.with_suffix(".rtx.engine")
    assert main([str(fixed), "--library", "tensorrt-rtx"]) == 0
    hide_driver(monkeypatch)
    assert main([str(fixed), str(engine), "--check"]) == 4  # the header is valid, but nothing can run it
    assert "E402 no usable CUDA driver" in capsys.readouterr().err
    manifest = fixed.parent / "manifest.json"
    text = manifest.read_text()
    version = manifest_entry(engine)["artifact"]["portability"]["tensorrt"]
    for old, new, reason in (
        (f'"tensorrt": "{version}"', '"tensorrt": "1.0.0.1"', "built by TensorRT 1.0.0.1, this is 1."),
        ('"os": "', '"os": "other-', "built on other-"),
    ):
        manifest.write_text(text.replace(old, new))
        assert main([str(fixed), str(engine), "--check"]) == 8
        assert f"E801 {engine.name}: {reason}" in capsys.readouterr().err
    manifest.write_text(text)
    engine.write_bytes(b"plan" * 100)
    assert main([str(fixed), str(engine), "--check"]) == 8
    assert "not an engine of this version of the library, or damaged" in capsys.readouterr().err
    assert main([str(fixed), str(fixed.parent / "other.rtx.engine"), "--check"]) == 9


def test_check_of_a_plan_for_this_gpu(
    newest: Standin, fixed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fixed.with_suffix(".engine")
    assert main([str(fixed), "--library", "tensorrt"]) == 0
    assert main([str(fixed), str(engine), "--check"]) == 0
    monkeypatch.setattr("srblocks_export.formats.tensorrt.trt_engine.host.compute_capability", lambda number=0: "7.5")
    assert main([str(fixed), str(engine), "--check"]) == 8
    assert f"E801 {engine.name}: built for a GPU of compute" in capsys.readouterr().err


@needs_rtx
def test_model_without_manifest_needs_shapes(dynamic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = shutil.copy(dynamic, tmp_path / "x.onnx")
    engine = str(tmp_path / "x.rtx.engine")
    assert main([str(model), engine]) == 2
    assert main([str(model), engine, "--min", "1x1x4x4", "--opt", "1x1x8x8", "--max", "1x1x8x8"]) == 0
    assert "has no manifest.json" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["x.onnx", "x.rtx.engine"]


def test_exit_code_without_a_library(
    fixed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "tensorrt" in name else find_spec(name))
    assert main([str(fixed)]) == 4
    assert "E401 tensorrt not installed; pip install tensorrt" in capsys.readouterr().err
    assert main([str(fixed), "--library", "tensorrt-rtx"]) == 4
    assert "tensorrt_rtx_bindings not installed; pip install tensorrt-rtx" in capsys.readouterr().err


def test_invalid_memory_sizes_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("", "-1", "1.5GiB", "GiB"):
        with pytest.raises(SystemExit):
            main(["x.onnx", f"--workspace={text}"])
        assert "invalid size" in capsys.readouterr().err, text


def test_sources_are_python_3_9_with_standard_imports_only() -> None:
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(), feature_version=(3, 9))):
            if isinstance(node, ast.Import):
                assert {name.name.partition(".")[0] for name in node.names} <= set(sys.stdlib_module_names), file
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

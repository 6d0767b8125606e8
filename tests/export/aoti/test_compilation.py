"""Compilation of AOTInductor packages: output, temporary files, settings and errors."""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from export.aoti.packages import COMMAND
from helpers.support import filled
from srblocks import create_network
from srblocks_export.cli import main
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError, InputError
from srblocks_export.export import export_network
from srblocks_export.formats import base, cxx_compiler
from srblocks_export.formats.aoti.loader import without_tf32
from srblocks_export.manifest import FILE
from srblocks_export.runtime import load

pytestmark = pytest.mark.skipif(cxx_compiler() is None, reason="needs a C++ compiler")


@pytest.fixture
def exporter() -> ModuleType:
    from srblocks_export.formats.aoti import exporter  # imports torch._dynamo

    return exporter


def check_output(folder: Path) -> None:
    assert (folder / "stderr").read_text() == ""
    assert json.loads((folder / "stdout").read_text())["exit_code"] == 0
    assert [path for path in (folder / "temporary").rglob("*") if path.is_file()] == []
    assert [path.name for path in (folder / "home").iterdir()] == ["out"]
    assert {path.name for path in (folder / "home" / "out").iterdir()} == {"fsrcnn_x2_fp32_dyn.aoti.pt2", FILE}


def test_export_prints_no_messages_and_leaves_no_temporary_files(export: Path) -> None:
    check_output(export)


@pytest.mark.slow
def test_command_in_a_new_process(tmp_path: Path) -> None:
    for name in ("temporary", "home"):
        (tmp_path / name).mkdir()
    environment = os.environ | {
        "TMPDIR": str(tmp_path / "temporary"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-m", "srblocks_export.cli", *COMMAND]
    with (tmp_path / "stdout").open("w") as out, (tmp_path / "stderr").open("w") as err:
        subprocess.run(
            command, cwd=tmp_path / "home", env=environment, stdout=out, stderr=err, timeout=300, check=False
        )
    check_output(tmp_path)


@pytest.mark.slow
def test_export_of_a_fixed_shape_restores_the_process_state(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import config

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    settings = config.save_config()
    environment, level = dict(os.environ), logging.getLogger("torch").level
    code = main(["espcn", "--scale", "3", "--shape", "1x1x9x14", "--aoti", "-q", "-o", "out"])
    out, err = capfd.readouterr()
    assert (code, out) == (0, "")
    assert err.startswith("srblocks-export: warning: fresh weights (seed 0) of espcn x3; ")
    assert err.count("\n") == 1
    assert [path for path in Path("temporary").rglob("*") if path.is_file()] == []
    assert {path.name for path in Path("out").iterdir()} == {"espcn_x3_fp32_1x1x9x14.aoti.pt2", FILE}
    assert {path.name for path in Path().iterdir()} == {"temporary", "out"}
    assert config.save_config() == settings
    assert dict(os.environ) == environment
    assert logging.getLogger("torch").level == level
    if shutil.which("ps"):
        command = ["ps", "--ppid", str(os.getpid()), "-o", "args="]
        children = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        assert [line for line in children if "inductor" in line or "++" in line] == []
    fixed = load(tmp_path / "out" / "espcn_x3_fp32_1x1x9x14.aoti.pt2")
    assert fixed(np.zeros((1, 1, 9, 14), np.float32)).shape == (1, 1, 27, 42)
    with pytest.raises(InputError, match=r"E202 .* height 10 is outside 9..9"):
        fixed(torch.zeros(1, 1, 10, 14))


@pytest.mark.slow
def test_two_exports_write_the_same_bytes(tmp_path: Path) -> None:
    net = filled(create_network("espcn", scale=2))
    paths = []
    for name in ("first", "second-with-a-longer-name"):
        (report,) = export_network(net, ExportConfig(formats=("aoti",), out=tmp_path / name, verify="off"))
        assert report.path is not None
        paths.append(report.path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_without_tf32_restores_the_precision_after_an_error() -> None:
    libraries = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)
    before = [library.fp32_precision for library in libraries]
    with pytest.raises(KeyError), without_tf32():
        assert [library.fp32_precision for library in libraries] == ["ieee", "ieee"]
        raise KeyError
    assert [library.fp32_precision for library in libraries] == before
    assert torch.backends.cudnn.allow_tf32


def test_compiling_for_a_gpu_requires_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = ExportConfig(formats=("aoti",), out=tmp_path, device="cuda", verify="off")
    (report,) = export_network(create_network("espcn", scale=2), config)
    assert str(report.error).startswith("E402 aoti: no usable CUDA device; ")


def test_compilation_errors_are_one_line(exporter: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import _inductor as inductor
    from torch._inductor import exc

    text = """a.wrapper.cpp: In function f:
a.wrapper.cpp:3:1: error: 'y' was not declared
   3 | y
compilation terminated"""
    failures: dict[str, Exception] = {
        "E703 the build of ESPCN failed: .*:3:1: error: 'y' was not declared; check": exc.CppCompileError(
            ["g++", "x"], text
        ),
        r"E703 the build of ESPCN failed: C\+\+ compile error; check the compiler": exc.InductorError(
            exc.CppCompileError(["g++", "x"], "killed"), None
        ),
        "E502 AOTInductor cannot compile ESPCN: missing lowering, target: aten.strange; use --pt2 or --onnx": (
            exc.InductorError(exc.MissingOperatorWithoutDecomp("aten.strange", [], {}), None)
        ),
        "E502 AOTInductor cannot compile ESPCN: NotImplementedError: odd, target: aten.odd; use --pt2 or --onnx": (
            exc.InductorError(exc.LoweringException(NotImplementedError("odd"), "aten.odd", [], {}), None)
        ),
        r"E403 aoti: No working C\+\+ compiler found in .*; install g": exc.InvalidCxxCompiler(),
        "E302 aoti: the folder for temporary files is not writable .No space left on device.; free some space": OSError(
            28, "No space left on device"
        ),
    }
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(exporter, "export_program", lambda *arguments: None)
    config = ExportConfig(formats=("aoti",), out=tmp_path / "out", verify="off", optimize=False)
    net = create_network("espcn", scale=2)
    for message, failure in failures.items():

        def fail(*arguments: object, failure: Exception = failure, **keywords: object) -> None:
            raise failure

        monkeypatch.setattr(inductor, "aoti_compile_and_package", fail)
        (report,) = export_network(net, config)
        assert report.error is not None
        with pytest.raises(ExportError, match=message):
            raise report.error
        assert list((tmp_path / "out").iterdir()) == [], message
        assert list((tmp_path / "temporary").iterdir()) == [], message


def test_clang_is_used_if_gcc_is_missing(exporter: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import _inductor as inductor

    passed: list[dict[str, object]] = []

    def record(*arguments: object, inductor_configs: dict[str, object], **keywords: object) -> None:
        passed.append(inductor_configs)
        raise RuntimeError("recorded")

    monkeypatch.setattr(exporter, "export_program", lambda *arguments: None)
    monkeypatch.setattr(inductor, "aoti_compile_and_package", record)
    config = ExportConfig(formats=("aoti",), out=tmp_path, verify="off", optimize=False)
    monkeypatch.delenv("CXX", raising=False)
    for compiler in ("g++", "clang++"):
        monkeypatch.setattr(base.shutil, "which", lambda name, compiler=compiler: name if name == compiler else None)
        export_network(create_network("espcn", scale=2), config)
    assert [options.get("cpp.cxx") for options in passed] == [None, (None, "clang++")]


def test_recorded_cpu_features_follow_the_compiler_flags(exporter: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    x86 = {"architecture": "x86_64", "avx2": True, "fma3": True, "f16c": True, "sha": True, "amx_tile": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: x86)
    assert exporter._features(["-mavx2", "-mfma", "-mf16c"]) == {"avx2": True, "fma3": True, "f16c": True}
    assert exporter._features(None) == {"avx2": True, "fma3": True, "f16c": True, "sha": True}
    arm = {"architecture": "arm64", "neon": True, "sve_max_length": 32}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: arm)
    assert exporter._features(["-march=armv8-a"]) == {"neon": True, "sve_max_length": 32}

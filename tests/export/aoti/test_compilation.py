"""The compilation of AOTInductor packages: what it asks for, what it leaves behind, and how it fails."""

import json
import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._inductor import config, exc

from helpers.support import filled
from srblocks import create_network
from srblocks_export.cli import main
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError, InputError
from srblocks_export.export import export_network
from srblocks_export.formats import base, cxx_compiler
from srblocks_export.formats.aoti import exporter as aoti
from srblocks_export.formats.aoti.loader import without_tf32
from srblocks_export.manifest import FILE
from srblocks_export.runtime import load

pytestmark = pytest.mark.skipif(cxx_compiler() is None, reason="needs a C++ compiler")


def test_an_export_prints_and_leaves_nothing(export: Path) -> None:
    assert (export / "stderr").read_text() == ""
    assert json.loads((export / "stdout").read_text())["exit_code"] == 0
    assert [path for path in (export / "temporary").rglob("*") if path.is_file()] == []
    assert [path.name for path in (export / "home").iterdir()] == ["out"]
    assert {path.name for path in (export / "home" / "out").iterdir()} == {"fsrcnn_x2_fp32_dyn.aoti.pt2", FILE}


@pytest.mark.slow
def test_an_export_of_one_shape_leaves_the_process_as_it_was(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    static = load(tmp_path / "out" / "espcn_x3_fp32_1x1x9x14.aoti.pt2")
    assert static(np.zeros((1, 1, 9, 14), np.float32)).shape == (1, 1, 27, 42)
    with pytest.raises(InputError, match=r"E202 .* height 10 is outside 9..9"):
        static(torch.zeros(1, 1, 10, 14))


@pytest.mark.slow
def test_two_exports_write_the_same_bytes(tmp_path: Path) -> None:
    net = filled(create_network("espcn", scale=2))
    paths = []
    for name in ("first", "second-with-a-longer-name"):
        (report,) = export_network(net, ExportConfig(formats=("aoti",), out=tmp_path / name, verify="off"))
        assert report.path is not None
        paths.append(report.path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_float32_stays_float32_on_a_gpu_while_the_code_runs() -> None:
    libraries = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)
    before = [library.fp32_precision for library in libraries]
    with pytest.raises(KeyError), without_tf32():
        assert [library.fp32_precision for library in libraries] == ["ieee", "ieee"]
        raise KeyError
    assert [library.fp32_precision for library in libraries] == before
    assert torch.backends.cudnn.allow_tf32


def test_compiling_for_a_gpu_needs_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    request = ExportConfig(formats=("aoti",), out=tmp_path, device="cuda", verify="off")
    (report,) = export_network(create_network("espcn", scale=2), request)
    assert str(report.error).startswith("E402 aoti: no usable CUDA device; ")


COMPILER = """a.wrapper.cpp: In function f:
a.wrapper.cpp:3:1: error: 'y' was not declared
   3 | y
compilation terminated"""


@pytest.mark.parametrize(
    "failure,message",
    [
        (
            exc.CppCompileError(["g++", "x"], COMPILER),
            "E703 the build of ESPCN failed: .*:3:1: error: 'y' was not declared; check",
        ),
        (
            exc.InductorError(exc.CppCompileError(["g++", "x"], "killed"), None),
            "E703 the build of ESPCN failed: C\\+\\+ compile error; check the compiler",
        ),
        (
            exc.InductorError(exc.MissingOperatorWithoutDecomp("aten.strange", [], {}), None),
            "E502 AOTInductor cannot compile ESPCN: missing lowering, target: aten.strange; use --pt2 or --onnx",
        ),
        (
            exc.InductorError(exc.LoweringException(NotImplementedError("odd"), "aten.odd", [], {}), None),
            "E502 AOTInductor cannot compile ESPCN: NotImplementedError: odd, target: aten.odd; use --pt2 or --onnx",
        ),
        (exc.InvalidCxxCompiler(), "E403 aoti: No working C\\+\\+ compiler found in .*; install g"),
        (
            OSError(28, "No space left on device"),
            "E302 aoti: the folder for temporary files is not writable .No space left on device.; free some space",
        ),
    ],
)
def test_a_failed_compilation_says_why_in_one_line(
    failure: Exception, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise failure

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", fail)
    request = ExportConfig(formats=("aoti",), out=tmp_path / "out", verify="off", optimize=False)
    (report,) = export_network(create_network("espcn", scale=2), request)
    assert report.error is not None
    with pytest.raises(ExportError, match=message):
        raise report.error
    assert list((tmp_path / "out").iterdir()) == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_compiler_of_another_name_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, object]] = []

    def record(*arguments: object, inductor_configs: dict[str, object], **named: object) -> None:
        given.append(inductor_configs)
        raise RuntimeError("enough")

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", record)
    request = ExportConfig(formats=("aoti",), out=tmp_path, verify="off", name="a")
    monkeypatch.delenv("CXX", raising=False)
    export_network(create_network("espcn", scale=2), request)
    monkeypatch.setattr(base.shutil, "which", lambda name: name if name == "clang++" else None)
    export_network(create_network("espcn", scale=2), request)
    assert [options.get("cpp.cxx") for options in given] == [None, (None, "clang++")]


def test_without_the_flag_for_the_instruction_set_every_capability_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"architecture": "x86_64", "avx2": True, "fma3": True, "f16c": True, "sha": True, "amx_tile": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: here)
    assert aoti._features(["-mavx2", "-mfma", "-mf16c"]) == {"avx2": True, "fma3": True, "f16c": True}
    assert aoti._features(None) == {"avx2": True, "fma3": True, "f16c": True, "sha": True}
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"architecture": "arm64", "neon": True, "sve_max_length": 32}
    )
    assert aoti._features(["-march=armv8-a"]) == {"neon": True, "sve_max_length": 32}

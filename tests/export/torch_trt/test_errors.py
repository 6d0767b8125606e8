"""Errors of programs with TensorRT engines: failed builds, incompatible machines, and invalid files."""

import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from export.torch_trt.programs import HOST, Program, small_fsrcnn, write_program
from helpers.support import write_artifact
from helpers.torch_tensorrt_standin import Standin
from srblocks.network import Network
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError
from srblocks_export.formats import Format, Loaded
from srblocks_export.formats.tensorrt.trt_engine import BuildOptions, EngineError
from srblocks_export.formats.torch_tensorrt import library, loader


class Untraceable(Network):
    def __init__(self) -> None:
        super().__init__(scale=1, image_channels=1, min_size=1)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return lr if float(lr.sum()) > 0 else -lr


@pytest.fixture
def loadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `runtime.load` use the fake library."""
    monkeypatch.setattr(Format, "missing", lambda self, *, build=True: None)


def test_unsupported_hardware_compatibility(newest: Standin, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"E200 .* does not support --hardware-compat same-cc; use ampere\+, or"):
        write_program(tmp_path, engine=BuildOptions(hardware="same-cc"))
    assert newest.calls == []


def test_library_that_fails_to_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "site" / "torch_tensorrt.py"
    broken.parent.mkdir()
    broken.write_text(
        "print('make sure that the libraries are there')\nraise Exception('libnvinfer.so.11: no such file')"
    )
    monkeypatch.syspath_prepend(broken.parent)
    monkeypatch.delitem(sys.modules, "torch_tensorrt", raising=False)
    remedy = r"pip install \"srblocks\[trt\]\""
    with pytest.raises(ExportError, match=rf"E401 .*does not load \(libnvinfer.so.11: no such file\); {remedy}"):
        write_program(tmp_path)
    assert capsys.readouterr() == ("", "")


def test_no_gpu(newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: int) -> Any:
        raise EngineError(402, "no usable CUDA device", "build it elsewhere")

    monkeypatch.setattr(library, "host_facts", fail)
    with pytest.raises(ExportError, match="E402 torch-trt: no usable CUDA device; build it elsewhere"):
        write_program(tmp_path)


def test_untraceable_network(newest: Standin, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="E502 torch.export cannot trace Untraceable"):
        write_program(tmp_path, Untraceable())


@pytest.mark.usefixtures("traced_once")
def test_failed_build_includes_the_message_of_tensorrt(newest: Standin, tmp_path: Path) -> None:
    for fault, reason in ((RuntimeError("no engine\nat all"), "no engine"), (AssertionError(), "AssertionError")):
        newest.fault["compile"] = fault
        with pytest.raises(ExportError) as caught:
            write_program(tmp_path)
        assert str(caught.value) == (
            f"E702 TensorRT could not build an engine for FSRCNN: {reason}; TensorRT's own words; "
            "use a smaller --max or --workspace, or --pt2"
        )
    newest.fault["compile"] = newest.unsupported_error("Conversion of function aten.x not currently supported!")
    with pytest.raises(ExportError, match="E502 TensorRT cannot compile FSRCNN: Conversion of function aten.x not"):
        write_program(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("traced_once")
def test_program_without_engines(newest: Standin, tmp_path: Path) -> None:
    newest.unsupported = {"aten.conv2d.default", "aten.prelu.default", "aten.conv_transpose2d.input"}
    with pytest.raises(ExportError, match="E502 TensorRT supports no operator of FSRCNN; use --pt2 or --trt"):
        write_program(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("traced_once")
def test_program_that_cannot_be_saved(newest: Standin, tmp_path: Path) -> None:
    message = "E502 torch_tensorrt cannot save FSRCNN: cannot serialize; use --pt2 or --trt"
    for function in ("export", "save"):
        newest.fault = {function: RuntimeError("cannot serialize")}
        with pytest.raises(ExportError, match=message):
            write_program(tmp_path)
        assert list(tmp_path.iterdir()) == [], function


def test_program_for_another_machine_is_not_loaded(
    newest: Standin, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    for change, reason in (
        ({"tensorrt": "11.1.0.107"}, "built by TensorRT 11.1.0.106, this is 11.1.0.107"),
        ({"compute_capability": "8.9"}, "built for a GPU of compute capability 9.0, this one has 8.9"),
        ({"os": "windows-amd64"}, "built on linux-x86_64, this is windows-amd64"),
    ):
        host = HOST | change
        monkeypatch.setattr(library, "host_facts", lambda device, host=host: host)
        with pytest.raises(ExportError) as caught:
            loader.read(program.path)
        assert str(caught.value) == f"E801 {program.path} was {reason}; export it again here with --torch-trt"
    assert newest.calls == []


def test_only_the_same_minor_version_loads_a_program(newest: Standin, program: Program) -> None:
    newest.module.__version__ = "2.14.3"
    loader.read(program.path)
    newest.calls.clear()
    newest.module.__version__ = "2.15.0"
    with pytest.raises(ExportError, match=r"E801 .* was built by torch_tensorrt 2.14.0, this is 2.15.0; export it"):
        loader.read(program.path)
    assert newest.calls == []


@pytest.mark.usefixtures("loadable")
def test_truncated_and_foreign_files_are_not_loaded(newest: Standin, program: Program, tmp_path: Path) -> None:
    content = program.path.read_bytes()
    plain = tmp_path / "plain.pt2"
    write_artifact(small_fsrcnn(), plain, ExportConfig(formats=("pt2",), out=tmp_path))
    files = {"half": content[: len(content) // 2], "text": b"hello", "empty": b"", "plain": plain.read_bytes()}
    for name, data in files.items():
        path = tmp_path / f"{name}.trt.pt2"
        path.write_bytes(data)
        with pytest.raises(ExportError, match=rf"E901 .*{name}.trt.pt2 cannot be loaded as torch-trt .*; export it"):
            runtime.load(path)
    assert newest.calls == []


@pytest.mark.usefixtures("loadable")
def test_damaged_program(program: Program, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "damaged.trt.pt2"
    with zipfile.ZipFile(program.path) as source, zipfile.ZipFile(damaged, "w") as target:
        for record in source.infolist():
            target.writestr(record, b"{}" if record.filename.endswith("model.json") else source.read(record))
    with pytest.raises(ExportError, match=r"E901 .* cannot be loaded as torch-trt"):
        runtime.load(damaged)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("loadable")
def test_runtime_checks_the_size_range(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    read = loader.read

    def read_for_cpu(path: Path) -> Loaded:
        return replace(read(path), device="cpu")

    monkeypatch.setattr(loader, "read", read_for_cpu)
    artifact = runtime.load(program.path)
    assert artifact(torch.rand(4, 1, 32, 40)).shape == (4, 1, 64, 80)
    assert artifact(torch.rand(1, 1, 8, 8).numpy()).shape == (1, 1, 16, 16)
    with pytest.raises(ValueError, match=r"E202 .*width 41 is outside 8..40"):
        artifact(torch.rand(1, 1, 32, 41))

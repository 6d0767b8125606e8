"""Programs with TensorRT engines that are not built, do not fit this machine, or are damaged or foreign."""

import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from export.torch_trt.programs import HOST, fsrcnn, written
from helpers.support import write_artifact
from helpers.torch_tensorrt_standin import Standin
from srblocks.network import Network
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError
from srblocks_export.formats import Format, Loaded
from srblocks_export.formats.tensorrt.trt_engine import BuildOptions, EngineError
from srblocks_export.formats.torch_tensorrt import library, loader


def test_hardware_that_torch_tensorrt_cannot_build_for_is_refused(newest: Standin, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"E200 .* does not support --hardware-compat same-cc; use ampere\+, or"):
        written(tmp_path, engine=BuildOptions(hardware="same-cc"))
    assert newest.calls == []


def test_a_library_that_does_not_load_is_named(
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
        written(tmp_path)
    assert capsys.readouterr() == ("", "")


def test_no_gpu_is_named(newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def facts(device: int) -> Any:
        raise EngineError(402, "no usable CUDA device", "build it elsewhere")

    monkeypatch.setattr(library, "host_facts", facts)
    with pytest.raises(ExportError, match="E402 torch-trt: no usable CUDA device; build it elsewhere"):
        written(tmp_path)


class Untraceable(Network):
    def __init__(self) -> None:
        super().__init__(scale=1, image_channels=1, min_size=1)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return lr if float(lr.sum()) > 0 else -lr


def test_a_network_that_cannot_be_traced_is_refused(newest: Standin, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="E502 torch.export cannot trace Untraceable"):
        written(tmp_path, Untraceable())


@pytest.mark.parametrize("fault", [RuntimeError("no engine\nat all"), AssertionError()])
def test_a_failed_build_is_told_in_tensorrt_s_words(newest: Standin, tmp_path: Path, fault: Exception) -> None:
    newest.fault["compile"] = fault
    with pytest.raises(ExportError) as caught:
        written(tmp_path)
    reason = str(fault).split("\n", maxsplit=1)[0] or "AssertionError"
    assert str(caught.value) == (
        f"E702 TensorRT could not build an engine for FSRCNN: {reason}; TensorRT's own words; "
        "use a smaller --max or --workspace, or --pt2"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_operator_without_converter_is_named(newest: Standin, tmp_path: Path) -> None:
    newest.fault["compile"] = newest.unsupported_error("Conversion of function aten.x not currently supported!")
    with pytest.raises(ExportError, match="E502 TensorRT cannot compile FSRCNN: Conversion of function aten.x not"):
        written(tmp_path)


def test_a_program_without_engines_is_refused(newest: Standin, tmp_path: Path) -> None:
    newest.unsupported = {"aten.conv2d.default", "aten.prelu.default", "aten.conv_transpose2d.input"}
    newest.unsupported |= {"aten.pixel_shuffle.default"}
    with pytest.raises(ExportError, match="E502 TensorRT supports no operator of FSRCNN; use --pt2 or --trt"):
        written(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", ["export", "save"])
def test_a_program_that_cannot_be_saved_is_refused(newest: Standin, tmp_path: Path, function: str) -> None:
    newest.fault[function] = RuntimeError("not to be had")
    with pytest.raises(ExportError, match="E502 torch_tensorrt cannot save FSRCNN: not to be had; use --pt2 or --trt"):
        written(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change,reason",
    [
        ({"tensorrt": "11.1.0.107"}, "built by TensorRT 11.1.0.106, this is 11.1.0.107"),
        ({"compute_capability": "8.9"}, "built for a GPU of compute capability 9.0, this one has 8.9"),
        ({"os": "windows-amd64"}, "built on linux-x86_64, this is windows-amd64"),
    ],
)
def test_a_program_of_another_machine_is_refused_unread(
    newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], reason: str
) -> None:
    path = written(tmp_path)
    monkeypatch.setattr(library, "host_facts", lambda device: HOST | change)
    with pytest.raises(ExportError) as caught:
        loader.read(path)
    assert str(caught.value) == f"E801 {path} was {reason}; export it again here with --torch-trt"
    assert "load" not in [name for name, _ in newest.calls]


def test_a_program_of_another_torch_tensorrt_is_refused_unread(newest: Standin, tmp_path: Path) -> None:
    path = written(tmp_path)
    newest.module.__version__ = "2.14.3"
    loader.read(path)
    newest.calls.clear()
    newest.module.__version__ = "2.15.0"
    with pytest.raises(ExportError, match=r"E801 .* was built by torch_tensorrt 2.14.0, this is 2.15.0; export it"):
        loader.read(path)
    assert newest.calls == []


def test_engines_for_more_than_one_machine_run_there(
    newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, engine=BuildOptions(hardware="ampere+", version_compatible=True))
    monkeypatch.setattr(
        library, "host_facts", lambda device: HOST | {"tensorrt": "11.2.0", "compute_capability": "8.6"}
    )
    assert loader.read(path).run(torch.rand(1, 1, 8, 8)).shape == (1, 1, 16, 16)


def test_what_is_no_such_program_is_refused_unread(
    newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Format, "missing", lambda self, *, build=True: None)
    whole = written(tmp_path).read_bytes()
    newest.calls.clear()
    plain = tmp_path / "plain.pt2"
    net = fsrcnn()
    request = ExportConfig(formats=("pt2",), out=tmp_path)
    write_artifact(net, plain, request)
    contents = {"half": whole[: len(whole) // 2], "text": b"hello", "empty": b"", "plain": plain.read_bytes()}
    for name, content in contents.items():
        path = tmp_path / f"{name}.trt.pt2"
        path.write_bytes(content)
        with pytest.raises(ExportError, match=r"E901 .* cannot be loaded as torch-trt .*; export it again"):
            runtime.load(path)
    assert newest.calls == []


def test_a_damaged_program_is_refused(
    newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Format, "missing", lambda self, *, build=True: None)
    path, damaged = written(tmp_path), tmp_path / "damaged.trt.pt2"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(damaged, "w") as target:
        for record in source.infolist():
            target.writestr(record, b"{}" if record.filename.endswith("model.json") else source.read(record))
    with pytest.raises(ExportError, match=r"E901 .* cannot be loaded as torch-trt"):
        runtime.load(damaged)
    assert capfd.readouterr() == ("", "")


def test_the_runtime_checks_the_ranges(newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Format, "missing", lambda self, *, build=True: None)
    path = written(tmp_path)
    read = loader.read

    def on_the_cpu(path: Path) -> Loaded:
        return replace(read(path), device="cpu")

    monkeypatch.setattr(loader, "read", on_the_cpu)
    artifact = runtime.load(path)
    assert artifact(torch.rand(4, 1, 32, 40)).shape == (4, 1, 64, 80)
    assert artifact(torch.rand(1, 1, 8, 8).numpy()).shape == (1, 1, 16, 16)
    with pytest.raises(ValueError, match=r"E202 .*width 41 is outside 8..40"):
        artifact(torch.rand(1, 1, 32, 41))

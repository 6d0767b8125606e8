"""Contract tests of programs with TensorRT engines inside: there is no GPU, a stand-in takes torch_tensorrt's place.

They prove that our calls fit every version that matches a torch we support, and what is done with their results. That
TensorRT builds the engines, and that these compute what the network does, only a machine with a GPU can show: there the
verification of each export does.
"""

import importlib.util
import json
import logging
import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from srblocks import create_network, optimize, to_precision
from srblocks.network import Network
from srblocks_export import runtime
from srblocks_export.errors import ExportError
from srblocks_export.export import network_shapes
from srblocks_export.formats import FORMATS, Format, Loaded, torch_trt
from srblocks_export.formats.trt_engine import BuildOptions, EngineError
from srblocks_export.manifest import describe
from srblocks_export.request import ExportRequest
from support import Unshuffled, filled, trained_alike
from torch_tensorrt_standin import SURFACES, VERSIONS, Standin, install, surface, version_of

WHEEL = "SRBLOCKS_TORCH_TENSORRT"
HOST = {"tensorrt": "11.1.0.106", "compute_capability": "9.0", "os": "linux-x86_64"}
# Every argument that we give, by function.
PASSED = {
    "compile": {
        "exported_program",
        "arg_inputs",
        "timing_cache_path",
        "disable_tf32",
        "workspace_size",
        "optimization_level",
        "hardware_compatible",
        "version_compatible",
        "min_block_size",
    },
    "export": {"gm", "arg_inputs", "dynamic_shapes"},
    "save": {"module", "file_path", "extra_files"},
    "load": {"file_path"},
}
SHAPES = [(1, 1, 8, 8), (3, 1, 17, 23), (2, 1, 9, 40), (4, 1, 32, 40)]


@pytest.fixture(params=VERSIONS)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(torch_trt, "host_facts", lambda device: dict(HOST))
    return install(monkeypatch, request.param)


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(torch_trt, "host_facts", lambda device: dict(HOST))
    return install(monkeypatch, VERSIONS[-1])


def fsrcnn() -> Network:
    return optimize(filled(create_network("fsrcnn", scale=2)))


def write(net: Network, path: Path, *, plain: Network | None = None, **options: Any) -> dict[str, Any]:
    channels = net.image_channels
    given: dict[str, Any] = {
        "minimum": (1, channels, 8, 8),
        "optimum": (2, channels, 16, 16),
        "maximum": (4, channels, 32, 40),
    }
    request = ExportRequest(formats=("torch-trt",), out=path.parent, **(given | options))
    shapes = network_shapes(net, request)
    return torch_trt.write(net, path, shapes=shapes, metadata=describe(plain or net, shapes), request=request)


def written(folder: Path, net: Network | None = None, **options: Any) -> Path:
    path = folder / "artifact.trt.pt2"
    write(net or fsrcnn(), path, **options)
    return path


def test_the_artifact_computes_what_the_network_does(
    library: Standin, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    net = fsrcnn()
    loaded = torch_trt.read(written(tmp_path, net))
    for shape in SHAPES:
        lr = torch.rand(shape)
        with torch.no_grad():
            reference = net(lr)
        assert torch.allclose(loaded.run(lr), reference, atol=1e-6)
        assert torch.equal(loaded.run(lr.to(memory_format=torch.channels_last)), loaded.run(lr))
    assert loaded.device == "cuda"
    assert capfd.readouterr() == ("", "")
    assert [record.name for record in caplog.records if record.name.startswith("torch_tensorrt")] == []
    assert logging.getLogger("torch_tensorrt").propagate


def test_the_network_that_is_given_is_left_alone(newest: Standin, tmp_path: Path) -> None:
    net = fsrcnn()
    moved: list[nn.Module] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "cuda", lambda self: moved.append(self) or self)
        written(tmp_path, net)
    assert len(moved) == 1
    assert moved[0] is not net


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_takes_and_gives_float32(library: Standin, tmp_path: Path, precision: str) -> None:
    net = trained_alike(create_network("fsrcnn", scale=2))
    path = written(tmp_path, to_precision(net, precision), plain=net, precision=precision)
    lr = torch.rand(2, 1, 12, 20)
    sr = torch_trt.read(path).run(lr)
    with torch.no_grad():
        reference = net(lr)
    assert sr.dtype == torch.float32
    assert 0 < float((sr - reference).abs().max() / reference.std()) < 0.1
    passed = library.called("compile")
    assert not {"enabled_precisions", "enable_autocast", "use_fp32_acc"} & passed.keys()


def test_a_static_artifact_takes_its_one_shape(library: Standin, tmp_path: Path) -> None:
    net = fsrcnn()
    fixed: dict[str, Any] = {"minimum": None, "optimum": None, "maximum": None}
    path = written(tmp_path, net, shape=(1, 1, 9, 14), **fixed)
    lr = torch.rand(1, 1, 9, 14)
    with torch.no_grad():
        assert torch.allclose(torch_trt.read(path).run(lr), net(lr), atol=1e-6)
    assert library.called("compile")["arg_inputs"][0].ranges == ((1, 1, 9, 14),) * 3


def test_sizes_that_must_be_multiples_stay_dynamic(newest: Standin, tmp_path: Path) -> None:
    net = Unshuffled()
    loaded = torch_trt.read(written(tmp_path, net))
    for shape in ((1, 1, 8, 8), (3, 1, 18, 22), (4, 1, 32, 40)):
        lr = torch.rand(shape)
        assert torch.allclose(loaded.run(lr), net(lr), atol=1e-6)
    assert newest.tuned == (2, 1, 16, 16)


def test_options_arrive_where_they_belong(library: Standin, tmp_path: Path) -> None:
    cache = tmp_path / "timing.cache"
    options = BuildOptions(
        workspace=2**30,
        optimization_level=4,
        timing_cache=str(cache),
        hardware="ampere+",
        version_compatible=True,
        tf32=True,
    )
    first = written(tmp_path, engine=options)
    passed = library.called("compile")
    assert {name: passed[name] for name in SURFACES[VERSIONS[-1]]["defaults"] if name in passed} == {
        "disable_tf32": False,
        "workspace_size": 2**30,
        "optimization_level": 4,
        "hardware_compatible": True,
        "version_compatible": True,
        "min_block_size": 1,
    }
    assert cache.read_bytes() == b"timings"
    assert library.cached is None
    library.calls.clear()
    written(first.parent, engine=options)
    assert library.cached == b"timings"


def test_without_options_tf32_is_off_and_nothing_is_shared_with_other_builds(newest: Standin, tmp_path: Path) -> None:
    written(tmp_path)
    passed = newest.called("compile")
    surface = newest.surface["defaults"]
    assert passed["disable_tf32"] is True
    assert surface["disable_tf32"] is False
    for name in ("workspace_size", "optimization_level", "hardware_compatible", "version_compatible"):
        assert passed[name] == surface[name]
    assert surface.get("use_explicit_typing", True)
    assert not Path(passed["timing_cache_path"]).exists()
    assert Path(passed["timing_cache_path"]).is_absolute()


def test_engines_are_quickest_at_the_optimum(newest: Standin, tmp_path: Path) -> None:
    details = write(fsrcnn(), tmp_path / "artifact.trt.pt2")
    assert newest.tuned == (2, 1, 16, 16)
    assert details["warnings"] == []


def test_an_optimum_that_cannot_be_traced_is_told(newest: Standin, tmp_path: Path) -> None:
    details = write(fsrcnn(), tmp_path / "artifact.trt.pt2", optimum=(1, 1, 16, 24))
    assert newest.tuned == (2, 1, 16, 24)
    (remark,) = details["warnings"]
    assert remark.startswith("torch-trt is quickest at 2x1x16x24, not at 1x1x16x24")


def test_what_is_left_in_pytorch_is_counted_and_named(library: Standin, tmp_path: Path) -> None:
    net = fsrcnn()
    prelu = "aten.prelu.default"
    library.unsupported = {prelu}
    path = tmp_path / "artifact.trt.pt2"
    details = write(net, path)
    layers = [type(layer).__name__ for layer in net.modules()]
    fallback = details["fallback"]
    assert fallback["in_torch"] == [prelu] * layers.count("PReLU")
    assert fallback["engines"] == layers.count("PReLU") + 1
    assert fallback["operators"] == 16
    count = layers.count("PReLU")
    (warning,) = details["warnings"]
    assert warning == (
        f"torch-trt: {count + 1} engines, and outside of TensorRT {count} operators that PyTorch executes: "
        f"{prelu} ({count})"
    )
    lr = torch.rand(3, 1, 10, 12)
    with torch.no_grad():
        assert torch.allclose(torch_trt.read(path).run(lr), net(lr), atol=1e-6)


def test_a_network_that_runs_in_one_engine_is_told_so(newest: Standin, tmp_path: Path) -> None:
    details = write(fsrcnn(), tmp_path / "artifact.trt.pt2")
    assert details["fallback"] == {"engines": 1, "operators": 16, "in_torch": []}
    assert details["warnings"] == []


def test_the_file_carries_the_manifest_and_what_it_is_bound_to(newest: Standin, tmp_path: Path) -> None:
    net = fsrcnn()
    path = tmp_path / "artifact.trt.pt2"
    details = write(net, path)
    with zipfile.ZipFile(path) as archive:
        (embedded,) = [json.loads(archive.read(name)) for name in archive.namelist() if name.endswith("srblocks.json")]
        assert {record.date_time for record in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        records = b"".join(map(archive.read, archive.namelist()))
    assert embedded["portability"] == details["portability"]
    assert details["portability"] == HOST | {
        "torch_tensorrt": newest.module.__version__,
        "torch": str(torch.__version__),
        "hardware": "none",
        "version_compatible": False,
    }
    manifest = torch_trt.read(path).manifest
    assert manifest == {key: value for key, value in embedded.items() if key != "portability"}
    assert manifest["model"]["name"] == "fsrcnn"
    for folder in (str(tmp_path), str(Path(torch.__file__).parent), str(Path(__file__).parent)):
        assert folder.encode() not in records


@pytest.mark.parametrize("sizes", [{}, {"shape": (1, 1, 9, 14), "minimum": None, "optimum": None, "maximum": None}])
def test_the_same_network_gives_the_same_bytes(newest: Standin, tmp_path: Path, sizes: dict[str, Any]) -> None:
    first = written(tmp_path, **sizes).read_bytes()
    assert written(tmp_path, **sizes).read_bytes() == first


def test_hardware_that_torch_tensorrt_cannot_build_for_is_refused(newest: Standin, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"E200 torch_tensorrt knows no engines for 'same-cc'; use ampere\+, or"):
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

    monkeypatch.setattr(torch_trt, "host_facts", facts)
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
        f"E702 TensorRT gave no engine for FSRCNN: {reason}; TensorRT's own words; "
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
    with pytest.raises(ExportError, match="E502 TensorRT has no operator of FSRCNN; use --pt2 or --trt"):
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
    monkeypatch.setattr(torch_trt, "host_facts", lambda device: HOST | change)
    with pytest.raises(ExportError) as caught:
        torch_trt.read(path)
    assert str(caught.value) == f"E801 {path} was {reason}; export it again here with --torch-trt"
    assert "load" not in [name for name, _ in newest.calls]


def test_a_program_of_another_torch_tensorrt_is_refused_unread(newest: Standin, tmp_path: Path) -> None:
    path = written(tmp_path)
    newest.module.__version__ = "2.14.3"
    torch_trt.read(path)
    newest.calls.clear()
    newest.module.__version__ = "2.15.0"
    with pytest.raises(ExportError, match=r"E801 .* was built by torch_tensorrt 2.14.0, this is 2.15.0; export it"):
        torch_trt.read(path)
    assert newest.calls == []


def test_engines_for_more_than_one_machine_run_there(
    newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, engine=BuildOptions(hardware="ampere+", version_compatible=True))
    monkeypatch.setattr(
        torch_trt, "host_facts", lambda device: HOST | {"tensorrt": "11.2.0", "compute_capability": "8.6"}
    )
    assert torch_trt.read(path).run(torch.rand(1, 1, 8, 8)).shape == (1, 1, 16, 16)


def test_what_is_no_such_program_is_refused_unread(
    newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Format, "missing", lambda self, *, build=True: None)
    whole = written(tmp_path).read_bytes()
    newest.calls.clear()
    plain = tmp_path / "plain.pt2"
    net = fsrcnn()
    request = ExportRequest(formats=("pt2",), out=tmp_path)
    shapes = network_shapes(net, request)
    FORMATS["pt2"].module.write(net, plain, shapes=shapes, metadata=describe(net, shapes), request=request)
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
    read = torch_trt.read

    def on_the_cpu(path: Path) -> Loaded:
        return replace(read(path), device="cpu")

    monkeypatch.setattr(torch_trt, "read", on_the_cpu)
    artifact = runtime.load(path)
    assert artifact(torch.rand(4, 1, 32, 40)).shape == (4, 1, 64, 80)
    assert artifact(torch.rand(1, 1, 8, 8).numpy()).shape == (1, 1, 16, 16)
    with pytest.raises(ValueError, match=r"E202 .*width 41 is outside 8..40"):
        artifact(torch.rand(1, 1, 32, 41))


def sources() -> Callable[[str], str] | None:
    """How to read a file of the installed torch_tensorrt or of a wheel, without importing it; None without either."""
    if wheel := os.environ.get(WHEEL):
        archive = zipfile.ZipFile(wheel)
        return lambda file: archive.read(f"torch_tensorrt/{file}").decode()
    spec = importlib.util.find_spec("torch_tensorrt") if "torch_tensorrt" not in sys.modules else None
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return lambda file: (folder / file).read_text()


def test_what_is_passed_is_what_is_compared(library: Standin, tmp_path: Path) -> None:
    torch_trt.read(written(tmp_path))
    assert {name: set(arguments) for name, arguments in library.calls} == PASSED


def test_the_recorded_parameters_are_those_of_the_wheel() -> None:
    read = sources()
    if read is None:
        pytest.skip(f"needs torch_tensorrt, installed or as the wheel that {WHEEL} names")
    real = surface(read)
    if (version := version_of(read)) in SURFACES:
        assert real == SURFACES[version]
    else:  # what is not recorded must have what we rely on
        newest = SURFACES[VERSIONS[-1]]
        for name, passed in PASSED.items():
            assert passed <= {*real["functions"][name]["positional"], *real["functions"][name]["keyword"]}
        assert {"shape", "min_shape", "opt_shape", "max_shape", "dtype"} <= set(real["input"])
        assert (real["parts"], real["unsupported"]) == (newest["parts"], newest["unsupported"])
        assert real["defaults"].get("use_explicit_typing", True)

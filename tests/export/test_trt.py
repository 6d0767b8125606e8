"""Contract tests of `--trt` and of running engines, on stand-ins for TensorRT 8.6, 10 and 11.

The stand-ins compute by onnxruntime on the addresses that they are given, in the memory of the CPU.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tensorrt_standin
from srblocks import create_network
from srblocks.network import Network
from srblocks_export import runtime, worker
from srblocks_export.errors import ExportError, InputError
from srblocks_export.export import export_network
from srblocks_export.formats import trt_runner
from srblocks_export.formats.trt_engine import BuildOptions
from srblocks_export.report import ArtifactReport
from srblocks_export.request import ExportRequest
from srblocks_export.shapes import Shapes
from srblocks_export.verify import Worker
from support import filled, relative_error, run
from tensorrt_standin import MAJORS, Standin, memory

TOLERANCE = 2e-5


class Stream:
    """A CUDA stream: what it waits for, in order, and which one is the current one."""

    log: ClassVar[list[tuple[Any, ...]]] = []
    stack: ClassVar[list["Stream"]] = []

    def __init__(self, handle: int = 99) -> None:
        self.cuda_stream = handle

    def wait_stream(self, other: "Stream") -> None:
        self.log.append((self.cuda_stream, "waits for", other.cuda_stream))

    def wait_event(self, event: "Event") -> None:
        self.log.append((self.cuda_stream, "waits for the call on", event.recorded))

    @classmethod
    @contextlib.contextmanager
    def current(cls, stream: "Stream") -> Iterator[None]:
        cls.stack.append(stream)
        try:
            yield
        finally:
            cls.stack.pop()


class Event:
    """A CUDA event: the stream that it was recorded on."""

    recorded: int | None = None

    def record(self, stream: Stream) -> None:
        self.recorded = stream.cuda_stream


class Graph:
    """A CUDA graph: what was enqueued while it was captured, again."""

    def __init__(self) -> None:
        self.work: list[Any] = []

    def replay(self) -> None:
        for compute in self.work:
            compute()


def imitate(monkeypatch: pytest.MonkeyPatch, major: str, stream: int = 7) -> Standin:
    """TensorRT and as much of CUDA as running an engine needs; verification stays in this process."""
    standin = tensorrt_standin.install(monkeypatch, major)
    Stream.log.clear()
    Stream.stack[:] = [Stream(stream)]

    @contextlib.contextmanager
    def capture(graph: Graph, *, stream: Stream, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        standin.capturing = graph.work
        with Stream.current(stream):
            try:
                yield
            finally:
                standin.capturing = None
                if "not_captured" in standin.faults:
                    raise RuntimeError("operation failed due to a previous error during capture")

    def set_stream(stream: Stream) -> None:
        Stream.stack[-1] = stream

    standin.current = lambda: Stream.stack[-1].cuda_stream
    monkeypatch.setattr(trt_runner, "_ALIGNMENT", 64)  # that of torch's memory on the CPU
    monkeypatch.setattr(trt_runner, "on_device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream.stack[-1])
    monkeypatch.setattr(torch.cuda, "set_stream", set_stream)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "stream", Stream.current)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(Worker, "_ask", lambda self, request: worker.check(request))
    return standin


@pytest.fixture(scope="module", params=MAJORS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[ArtifactReport]]:
    """What an export gives by each version."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        imitate(monkeypatch, request.param)
        return request.param, export(tmp_path_factory.mktemp("made"))


@pytest.fixture
def standin(made: tuple[str, list[ArtifactReport]], monkeypatch: pytest.MonkeyPatch) -> Standin:
    return imitate(monkeypatch, made[0])


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> Standin:
    return imitate(monkeypatch, MAJORS[-1])


@pytest.fixture
def engine(standin: Standin, made: tuple[str, list[ArtifactReport]], tmp_path: Path) -> Path:
    """An engine with its manifest, to load by the version that made it."""
    path = made[1][1].path
    assert path is not None
    return Path(shutil.copytree(path.parent, tmp_path / "engine")) / path.name


def network() -> Network:
    return filled(create_network("espcn", scale=3))


def export(folder: Path, net: Network | None = None, **options: Any) -> list[ArtifactReport]:
    request = ExportRequest(formats=("trt",), out=folder, **{"maximum": (2, 1, 40, 40)} | options)
    return export_network(net or network(), request)


def test_an_engine_is_made_from_the_onnx_file_and_verified(
    made: tuple[str, list[ArtifactReport]], standin: Standin
) -> None:
    onnx, engine = made[1]
    assert (onnx.error, engine.error) == (None, None)
    assert onnx.path is not None
    assert engine.path == onnx.path.with_suffix(".engine")
    assert engine.entry is not None
    assert engine.verification is not None
    assert len(engine.verification.cases) >= 4
    assert max(case["max_error"] for case in engine.verification.cases) < TOLERANCE
    entries = json.loads((onnx.path.parent / "manifest.json").read_text())["artifacts"]
    stored = {item["artifact"]["file"]: item for item in entries}
    entry = stored[engine.path.name]
    assert entry["artifact"]["portability"]["tensorrt"] == standin.module.__version__
    assert entry["io"] == stored[onnx.path.name]["io"]
    assert entry["io"]["input"]["max"] == [2, 1, 40, 40]
    assert engine.path.read_bytes().partition(b"\n")[2] == onnx.path.read_bytes()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_loaded_engine_is_the_network(precision: str, standin: Standin, tmp_path: Path) -> None:
    net = network()
    path = export(tmp_path, net, precision=precision)[1].path
    assert path is not None
    artifact = runtime.load(path)
    for shape in ((1, 1, 9, 14), (2, 1, 17, 8), (1, 1, 9, 14)):
        lr = torch.rand(shape)
        with torch.no_grad():
            expected = net(lr)
        assert relative_error(artifact(lr), expected) < (TOLERANCE if precision == "fp32" else 3e-2)
        assert np.array_equal(artifact(lr.numpy()), artifact(lr).numpy())
    with pytest.raises(InputError, match=r"E202 .* height 41 is outside"):
        artifact(torch.rand(1, 1, 41, 9))


def test_strided_images_are_read_as_images(engine: Path) -> None:
    artifact = runtime.load(engine)
    lr = torch.rand(1, 1, 12, 24)
    assert torch.equal(artifact(lr[..., ::2]), artifact(lr[..., ::2].contiguous()))


def test_the_range_of_an_engine_is_its_profile(newest: Standin, tmp_path: Path) -> None:
    report = export(tmp_path, optimum=(1, 1, 20, 20), minimum=(1, 1, 8, 8))[1]
    assert report.path is not None
    plan = json.loads(report.path.read_bytes().partition(b"\n")[0])
    assert plan["profile"] == ["lr", [1, 1, 8, 8], [1, 1, 20, 20], [2, 1, 40, 40]]
    shapes = runtime.load(report.path).shapes
    assert shapes == Shapes((1, 1, 8, 8), (2, 1, 40, 40), optimum=(1, 1, 20, 20))


def test_sizes_that_nobody_gives_are_usual_ones() -> None:
    request = ExportRequest(formats=("trt",), out=Path())
    shapes = request.shapes(image_channels=3, min_size=4, size_multiple=8)
    assert shapes.profile == ((1, 3, 8, 8), (1, 3, 264, 480), (1, 3, 536, 960))
    large = ExportRequest(formats=("trt",), out=Path(), minimum=(2, 3, 1000, 8))
    shapes = large.shapes(image_channels=3, min_size=4, size_multiple=1)
    assert shapes.profile == ((2, 3, 1000, 8), (2, 3, 1000, 480), (2, 3, 1000, 960))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"formats": ("trt",), "optimum": (1, 3, 9, 9), "maximum": (1, 3, 8, 8)},
            r"E202 --opt: .* height 9 is",
        ),
        ({"formats": ("onnx",), "optimum": (1, 3, 9, 9)}, r"E200 --opt and TensorRT's options say nothing of --onnx"),
        ({"formats": ("pt2",), "engine": BuildOptions(workspace=1)}, r"E200 .* say nothing of --pt2"),
        ({"formats": ("trt",), "precision": "bf16"}, r"E200 --trt cannot be in bf16"),
        ({"formats": ("pt2",), "device": "cuda"}, r"E200 --device cuda says nothing of --pt2"),
        ({"formats": ("aoti",), "engine": BuildOptions(tf32=True)}, r"E200 --tf32 says nothing of --aoti"),
        ({"formats": ("aoti",), "device": "cuda", "engine": BuildOptions(workspace=1)}, r"E200 .* nothing of --aoti"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        ExportRequest(out=Path(), **options).shapes(image_channels=3, min_size=1, size_multiple=1)


def test_an_engine_of_another_machine_is_not_deserialised(
    engine: Path, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srblocks_export.formats.trt_engine.host.compute_capability", lambda number=0: "7.5")
    with pytest.raises(ExportError, match=r"E801 .* compute capability 9.0, this one has 7.5; build it again"):
        runtime.load(engine)
    assert "deserialize_cuda_engine" not in standin.made


def test_an_engine_that_is_not_its_manifests_is_refused(engine: Path, standin: Standin) -> None:
    engine.write_bytes(engine.read_bytes() + b"\0")
    with pytest.raises(ExportError, match=r"E901 .* is not the file that its manifest describes"):
        runtime.load(engine)
    (engine.parent / "manifest.json").unlink()
    with pytest.raises(ExportError, match=r"E901 .*manifest.json does not list .*; build the engine by"):
        runtime.load(engine)
    assert "deserialize_cuda_engine" not in standin.made


def test_a_plan_that_tensorrt_refuses_is_named(engine: Path, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srblocks_export.formats.trt.misfit", lambda made, here: None)
    monkeypatch.setitem(vars(standin.module), "__version__", "0.0")
    with pytest.raises(ExportError, match=r"E801 TensorRT does not load the engine: expecting another library version"):
        runtime.load(engine)


def test_a_version_compatible_plan_may_run_code_of_its_own(standin: Standin, tmp_path: Path) -> None:
    report = export(tmp_path, engine=BuildOptions(version_compatible=True))[1]
    assert report.error is None
    assert report.verification is not None


def test_it_runs_on_the_callers_stream(engine: Path, standin: Standin) -> None:
    artifact = runtime.load(engine)
    artifact(torch.rand(1, 1, 9, 9))
    assert standin.arguments("execute_async_v3") == [(7, 7)]
    with Stream.current(Stream(8)):
        artifact(torch.rand(1, 1, 9, 9))
    assert standin.arguments("execute_async_v3")[1] == (8, 8)
    assert Stream.log == [(7, "waits for the call on", None), (8, "waits for the call on", 7)]


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_the_default_stream_waits_for_one_of_its_own(
    cuda_graph: bool, engine: Path, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stream.stack[:] = [Stream(0)]
    artifact = runtime.load(engine, cuda_graph=cuda_graph)
    artifact(torch.rand(1, 1, 9, 9))
    assert set(standin.arguments("execute_async_v3")) == {(99, 99)}
    assert Stream.log == [(99, "waits for", 0), (99, "waits for the call on", None), (0, "waits for", 99)]
    assert [stream.cuda_stream for stream in Stream.stack] == [0]


def test_the_default_stream_waits_after_a_failure_too(engine: Path, standin: Standin) -> None:
    Stream.stack[:] = [Stream(0)]
    artifact = runtime.load(engine)
    standin.faults["not_run"] = ""
    with pytest.raises(ExportError):
        artifact(torch.rand(1, 1, 9, 9))
    assert Stream.log[-1] == (0, "waits for", 99)


def test_a_failed_capture_is_one_error_and_leaves_the_callers_stream(engine: Path, standin: Standin) -> None:
    artifact = runtime.load(engine, cuda_graph=True)
    standin.faults["not_captured"] = ""
    with pytest.raises(ExportError, match=r"E702 the engine cannot be captured as a CUDA graph .*; load it without"):
        artifact(torch.rand(1, 1, 9, 9))
    assert [stream.cuda_stream for stream in Stream.stack] == [7]
    standin.faults.clear()
    assert artifact(torch.rand(1, 1, 9, 9)).shape == (1, 1, 27, 27)


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_it_runs_in_and_out_of_inference_mode(cuda_graph: bool, engine: Path) -> None:
    artifact = runtime.load(engine, cuda_graph=cuda_graph, reuse_output=True)
    lr = torch.rand(1, 1, 9, 9)
    with torch.inference_mode():
        inside = artifact(lr).clone()
    assert torch.equal(artifact(lr), inside)
    assert torch.equal(artifact(lr.clone().requires_grad_()), inside)


def test_images_may_begin_anywhere_and_be_negated(engine: Path) -> None:
    artifact = runtime.load(engine)
    batch = torch.rand(2, 1, 9, 9)
    assert torch.equal(artifact(batch[1:]), artifact(batch[1:].clone()))  # the stand-in wants aligned addresses
    negated = torch.view_as_complex(torch.stack((batch, -batch), -1).contiguous()).conj().imag
    assert negated.is_neg()
    assert torch.equal(artifact(negated), artifact(batch))


def test_an_output_is_the_callers_unless_it_is_to_be_reused(engine: Path, standin: Standin) -> None:
    first, second = torch.rand(2, 1, 1, 9, 9)
    artifact = runtime.load(engine)
    kept = artifact(first)
    before = kept.clone()
    assert artifact(second).data_ptr() != kept.data_ptr()
    assert torch.equal(kept, before)
    sparing = runtime.load(engine, reuse_output=True)
    assert sparing(first).data_ptr() == sparing(second).data_ptr()
    assert torch.equal(sparing(first), before)


def test_shapes_are_told_to_tensorrt_when_they_change(engine: Path, standin: Standin) -> None:
    artifact = runtime.load(engine)
    for side in (9, 9, 12, 9):
        assert artifact(torch.rand(1, 1, 9, side)).shape == (1, 1, 27, 3 * side)
    assert [shape for _, shape in standin.arguments("set_input_shape")] == [(1, 1, 9, 9), (1, 1, 9, 12), (1, 1, 9, 9)]


@pytest.mark.parametrize("reuse_output", [False, True])
def test_a_cuda_graph_is_captured_once_per_shape_and_gives_the_same(
    reuse_output: bool, engine: Path, standin: Standin
) -> None:
    images = [torch.rand(1, 1, 9, side) for side in (9, 9, 12, 9)]
    expected = [runtime.load(engine)(lr) for lr in images]
    standin.calls.clear()
    artifact = runtime.load(engine, cuda_graph=True, reuse_output=reuse_output)
    kept: list[Tensor] = []
    for lr, sr in zip(images, expected, strict=True):
        kept.append(artifact(lr))
        assert torch.equal(kept[-1], sr)
    assert standin.made.count("execute_async_v3") == 2 * 3  # a run ahead of each of three captures
    assert (kept[0].data_ptr() == kept[1].data_ptr()) == reuse_output


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("not_taken", r"E702 the engine does not take 1x1x9x9: no reason given"),
        ("not_run", r"E702 TensorRT failed to run the engine"),
    ],
)
def test_a_failed_run_is_an_error_and_the_next_one_starts_afresh(
    fault: str, message: str, engine: Path, standin: Standin
) -> None:
    artifact = runtime.load(engine)
    standin.faults[fault] = ""
    with pytest.raises(ExportError, match=message):
        artifact(torch.rand(1, 1, 9, 9))
    standin.faults.clear()
    assert artifact(torch.rand(1, 1, 9, 9)).shape == (1, 1, 27, 27)


def test_an_engine_without_room_to_run_is_an_error(engine: Path, standin: Standin) -> None:
    standin.faults["no_context"] = ""
    with pytest.raises(ExportError, match=r"E702 no memory to run the engine"):
        runtime.load(engine)


def test_only_engines_have_graphs(tmp_path: Path) -> None:
    (report,) = export_network(network(), ExportRequest(formats=("pt2",), out=tmp_path, verify="off"))
    assert report.path is not None
    with pytest.raises(ExportError, match=r"E200 pt2 artifacts have no cuda_graph"):
        runtime.load(report.path, cuda_graph=True)


def test_a_failed_build_leaves_the_onnx_file(
    newest: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest.faults["no_engine"] = "Could not find any implementation for node body.0/conv2d"
    code, _, err = run(capsys, "espcn", "--trt", "-o", tmp_path, "--max", "1x1x40x40")
    assert code == 7
    assert "E701 trt: TensorRT: Could not find any implementation for node body.0/conv2d; lower --max" in err
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".onnx"]


def test_a_wrong_engine_is_rejected(newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Any, stream: int) -> bool:
        memory(self._addresses["sr"], self.get_tensor_shape("sr"))[:] = 0.5
        return True

    monkeypatch.setattr(newest.module.IExecutionContext, "execute_async_v3", wrong)
    onnx, engine = export(tmp_path)
    assert onnx.error is None
    assert engine.error is not None
    assert engine.error.exit_code == 6
    assert engine.path is not None
    assert engine.path.name.endswith(".engine.rejected")


def test_options_of_the_command_reach_tensorrt(
    standin: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--workspace", "1GiB", "--opt-level", "4", "--version-compatible", "--tf32", "--max", "1x1x40x40"]
    flags += ["--hardware-compat", "ampere+", "--timing-cache", str(tmp_path / "timings.bin")]
    code, out, err = run(capsys, "espcn", "--trt", "-o", tmp_path / "out", "--json", *flags)
    assert code == 0, err
    assert standin.arguments("set_memory_pool_limit") == [("WORKSPACE", 2**30)]
    assert standin.arguments("builder_optimization_level") == [(4,)]
    assert standin.arguments("build_serialized_network") == [(["TF32", "VERSION_COMPATIBLE"],)]
    assert (tmp_path / "timings.bin").is_file()
    onnx, engine = json.loads(out)["artifacts"]
    assert (onnx["format"], engine["format"]) == ("onnx", "trt")
    assert engine["manifest"]["precision"]["tf32"] is True
    assert engine["manifest"]["artifact"]["portability"]["hardware"] == "ampere+"


class Pasted(Network):
    """Ends in F.fold, which TensorRT's parser does not take."""

    def __init__(self) -> None:
        super().__init__(scale=2, image_channels=1)
        self.paste = Paste()

    def forward(self, lr: Tensor) -> Tensor:
        return self.paste(lr)


class Paste(nn.Module):
    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        values = lr.reshape(lr.shape[0], 1, -1).expand(-1, 4, -1)
        return nn.functional.fold(values, (2 * height, 2 * width), 2, stride=2)


def test_operators_that_tensorrt_lacks_are_found_before_the_build(newest: Standin, tmp_path: Path) -> None:
    onnx, engine = export(tmp_path, Pasted().eval())
    assert onnx.error is None
    assert engine.error is not None
    assert engine.error.number == 503
    assert "Col2Im" in str(engine.error)
    assert "paste" in str(engine.error)
    assert "parse" not in newest.made

"""Contract tests of running engines, with fakes of TensorRT and CUDA."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.cuda_standin import Stream
from helpers.tensorrt_standin import MAJORS, Standin
from srblocks_export import runtime
from srblocks_export.errors import ExportError

# The runner calls every version alike; test_trt.py runs the engines of all of them.
pytestmark = pytest.mark.parametrize("engine_export", MAJORS[-1:], indirect=True)


def test_strided_images(engine: Path) -> None:
    artifact = runtime.load(engine)
    lr = torch.rand(1, 1, 12, 24)
    assert torch.equal(artifact(lr[..., ::2]), artifact(lr[..., ::2].contiguous()))


def test_engine_of_another_machine_is_not_deserialized(
    engine: Path, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srblocks_export.formats.tensorrt.trt_engine.host.compute_capability", lambda number=0: "7.5")
    with pytest.raises(ExportError, match=r"E801 .* compute capability 9.0, this one has 7.5; build it again"):
        runtime.load(engine)
    assert "deserialize_cuda_engine" not in standin.made


def test_engine_that_does_not_match_its_manifest_is_rejected(engine: Path, standin: Standin) -> None:
    engine.write_bytes(engine.read_bytes() + b"\0")
    with pytest.raises(ExportError, match=r"E901 .* does not match its manifest entry"):
        runtime.load(engine)
    (engine.parent / "manifest.json").unlink()
    with pytest.raises(ExportError, match=r"E901 .*manifest.json does not list .*; build the engine with"):
        runtime.load(engine)
    assert "deserialize_cuda_engine" not in standin.made


def test_plan_rejected_by_tensorrt_raises(engine: Path, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srblocks_export.formats.tensorrt.loader.misfit", lambda made, here: None)
    monkeypatch.setitem(vars(standin.module), "__version__", "0.0")
    with pytest.raises(ExportError, match=r"E801 TensorRT cannot load the engine: expecting another library version"):
        runtime.load(engine)


def test_engine_runs_on_the_current_stream(engine: Path, standin: Standin) -> None:
    artifact = runtime.load(engine)
    artifact(torch.rand(1, 1, 9, 9))
    assert standin.arguments("execute_async_v3") == [(7, 7)]
    with Stream.current(Stream(8)):
        artifact(torch.rand(1, 1, 9, 9))
    assert standin.arguments("execute_async_v3")[1] == (8, 8)
    assert Stream.log == [(7, "waits for the call on", None), (8, "waits for the call on", 7)]


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_default_stream_is_replaced_by_a_side_stream(
    cuda_graph: bool, engine: Path, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stream.stack[:] = [Stream(0)]
    artifact = runtime.load(engine, cuda_graph=cuda_graph)
    artifact(torch.rand(1, 1, 9, 9))
    assert set(standin.arguments("execute_async_v3")) == {(99, 99)}
    assert Stream.log == [(99, "waits for", 0), (99, "waits for the call on", None), (0, "waits for", 99)]
    assert [stream.cuda_stream for stream in Stream.stack] == [0]


def test_default_stream_waits_after_a_failure(engine: Path, standin: Standin) -> None:
    Stream.stack[:] = [Stream(0)]
    artifact = runtime.load(engine)
    standin.faults["not_run"] = ""
    with pytest.raises(ExportError):
        artifact(torch.rand(1, 1, 9, 9))
    assert Stream.log[-1] == (0, "waits for", 99)


def test_failed_capture_raises_and_restores_the_current_stream(engine: Path, standin: Standin) -> None:
    artifact = runtime.load(engine, cuda_graph=True)
    standin.faults["not_captured"] = ""
    with pytest.raises(ExportError, match=r"E702 the engine cannot be captured as a CUDA graph .*; load it without"):
        artifact(torch.rand(1, 1, 9, 9))
    assert [stream.cuda_stream for stream in Stream.stack] == [7]
    standin.faults.clear()
    assert artifact(torch.rand(1, 1, 9, 9)).shape == (1, 1, 27, 27)


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_engine_runs_in_and_out_of_inference_mode(cuda_graph: bool, engine: Path) -> None:
    artifact = runtime.load(engine, cuda_graph=cuda_graph, reuse_output=True)
    lr = torch.rand(1, 1, 9, 9)
    with torch.inference_mode():
        inside = artifact(lr).clone()
    assert torch.equal(artifact(lr), inside)
    assert torch.equal(artifact(lr.clone().requires_grad_()), inside)


def test_unaligned_and_negated_images(engine: Path) -> None:
    artifact = runtime.load(engine)
    batch = torch.rand(2, 1, 9, 9)
    assert torch.equal(artifact(batch[1:]), artifact(batch[1:].clone()))  # the fake engine requires aligned addresses
    negated = torch.view_as_complex(torch.stack((batch, -batch), -1).contiguous()).conj().imag
    assert negated.is_neg()
    assert torch.equal(artifact(negated), artifact(batch))


def test_output_is_new_unless_reused(engine: Path, standin: Standin) -> None:
    first, second = torch.rand(2, 1, 1, 9, 9)
    artifact = runtime.load(engine)
    kept = artifact(first)
    before = kept.clone()
    assert artifact(second).data_ptr() != kept.data_ptr()
    assert torch.equal(kept, before)
    sparing = runtime.load(engine, reuse_output=True)
    assert sparing(first).data_ptr() == sparing(second).data_ptr()
    assert torch.equal(sparing(first), before)


def test_input_shape_is_set_only_when_it_changes(engine: Path, standin: Standin) -> None:
    artifact = runtime.load(engine)
    for side in (9, 9, 12, 9):
        assert artifact(torch.rand(1, 1, 9, side)).shape == (1, 1, 27, 3 * side)
    assert [shape for _, shape in standin.arguments("set_input_shape")] == [(1, 1, 9, 9), (1, 1, 9, 12), (1, 1, 9, 9)]


@pytest.mark.parametrize("reuse_output", [False, True])
def test_cuda_graph_is_captured_once_per_shape(reuse_output: bool, engine: Path, standin: Standin) -> None:
    images = [torch.rand(1, 1, 9, side) for side in (9, 9, 12, 9)]
    expected = [runtime.load(engine)(lr) for lr in images]
    standin.calls.clear()
    artifact = runtime.load(engine, cuda_graph=True, reuse_output=reuse_output)
    kept: list[Tensor] = []
    for lr, sr in zip(images, expected, strict=True):
        kept.append(artifact(lr))
        assert torch.equal(kept[-1], sr)
    assert standin.made.count("execute_async_v3") == 2 * 3  # one run before each of three captures
    assert (kept[0].data_ptr() == kept[1].data_ptr()) == reuse_output


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("not_taken", r"E702 the engine rejects 1x1x9x9: no reason given"),
        ("not_run", r"E702 TensorRT failed to run the engine"),
    ],
)
def test_engine_recovers_from_a_failed_run(fault: str, message: str, engine: Path, standin: Standin) -> None:
    artifact = runtime.load(engine)
    standin.faults[fault] = ""
    with pytest.raises(ExportError, match=message):
        artifact(torch.rand(1, 1, 9, 9))
    standin.faults.clear()
    assert artifact(torch.rand(1, 1, 9, 9)).shape == (1, 1, 27, 27)


def test_too_little_memory_for_the_engine_raises(engine: Path, standin: Standin) -> None:
    standin.faults["no_context"] = ""
    with pytest.raises(ExportError, match=r"E702 too little memory to run the engine"):
        runtime.load(engine)

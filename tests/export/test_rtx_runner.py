"""Engines of TensorRT for RTX on a GPU, with a fake library that has exactly the names of the real one."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers.cuda_standin import export_engine, imitate, small_network
from helpers.support import facts, needs_rtx, relative_error
from helpers.tensorrt_standin import Standin
from srblocks_export import runtime
from srblocks_export.errors import ExportError
from srblocks_export.formats.tensorrt.trt_engine import TENSORRT_RTX


@pytest.fixture
def rtx(monkeypatch: pytest.MonkeyPatch) -> Standin:
    return imitate(monkeypatch, "rtx")


@pytest.fixture
def engine(rtx: Standin, tmp_path: Path) -> Path:
    source, report = export_engine(tmp_path, formats=("trt-rtx",))
    assert (source.error, report.error) == (None, None)
    assert report.verification is not None
    assert report.verification.status == "pass"
    assert len(report.verification.cases) >= 4
    assert report.path is not None
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".engine", ".json", ".onnx"]  # no cache yet
    rtx.calls.clear()
    return report.path


@needs_rtx
def test_recorded_names_are_those_of_the_library() -> None:
    trt = TENSORRT_RTX.load()
    surface = facts("tensorrt.json")["rtx"]
    for name, members in surface["classes"].items():
        assert [member for member in members if not hasattr(getattr(trt, name), member)] == [], name
    for name, members in surface["enums"].items():
        assert set(members) <= set(getattr(trt, name).__members__), name


def test_compiled_kernels_are_kept_next_to_the_engine(engine: Path, rtx: Standin) -> None:
    cache = engine.with_name(f"{engine.name}.cache")
    artifact = runtime.load(engine)
    lr = torch.rand(1, 1, 9, 14)
    with torch.no_grad():
        assert relative_error(artifact(lr), small_network()(lr)) < 2e-5
    assert not cache.exists()
    del artifact
    gc.collect()
    assert cache.read_bytes() == b"+"
    del_after(runtime.load(engine))
    assert rtx.arguments("deserialize_cache") == [(b"+",)]
    assert cache.read_bytes() == b"++"
    cache.write_bytes(b"foreign")
    del_after(runtime.load(engine))
    assert cache.read_bytes() == b"+"
    cache.unlink()
    cache.mkdir()  # cannot be replaced by a file, also not by root
    del_after(runtime.load(engine))
    assert sorted(path.name for path in engine.parent.iterdir() if path.name.startswith(".")) == []
    cache.rmdir()
    if os.geteuid():  # root may write everywhere
        engine.parent.chmod(0o500)
        del_after(runtime.load(engine))
        engine.parent.chmod(0o700)


def test_compiled_kernels_are_kept_when_the_process_ends(engine: Path) -> None:
    code = (
        "import sys, pytest, torch\n"
        "from helpers.cuda_standin import imitate\n"
        "from srblocks_export import runtime\n"
        "imitate(pytest.MonkeyPatch(), 'rtx')\n"
        "artifact = runtime.load(sys.argv[1])\n"
        "artifact(torch.rand(1, 1, 9, 14))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(engine)], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert engine.with_name(f"{engine.name}.cache").read_bytes() == b"+"


def del_after(artifact: runtime.Artifact) -> None:
    """Delete an artifact."""
    del artifact
    gc.collect()


@pytest.mark.parametrize("reuse_output", [False, True])
def test_library_captures_cuda_graphs_itself(reuse_output: bool, engine: Path, rtx: Standin) -> None:
    images = [torch.rand(1, 1, 9, side) for side in (9, 9, 12, 9)]
    expected = [runtime.load(engine)(lr) for lr in images]
    rtx.calls.clear()
    artifact = runtime.load(engine, cuda_graph=True, reuse_output=reuse_output)
    found = [artifact(lr) for lr in images]
    (strategy,) = rtx.arguments("create_execution_context")
    assert strategy == (rtx.module.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE,)
    assert rtx.made.count("execute_async_v3") == len(images)
    assert torch.equal(found[-1], expected[-1])
    assert (found[0].data_ptr() == found[1].data_ptr()) == reuse_output
    if not reuse_output:
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_plan_that_the_library_rejects_is_not_deserialized(engine: Path, rtx: Standin) -> None:
    for diagnosis, reason in (
        ("UNSUPPORTED_CC", "not built for the compute capability of this GPU"),
        ("VERSION_MISMATCH", "made by another version of the library"),
    ):
        rtx.faults["invalid"] = diagnosis
        with pytest.raises(ExportError, match=rf"E801 .* does not fit this machine: {reason}; build it again"):
            runtime.load(engine)
    assert "deserialize_cuda_engine" not in rtx.made

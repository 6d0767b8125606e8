"""Contract tests of `--trt` with fakes of TensorRT 8.6, 10 and 11, which run engines in onnxruntime on the CPU."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.cuda_standin import export_engine, imitate, small_network
from helpers.support import relative_error, run
from helpers.tensorrt_parts import memory
from helpers.tensorrt_standin import MAJORS, Standin
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError, InputError
from srblocks_export.export import export_network
from srblocks_export.formats.tensorrt.trt_engine import BuildOptions
from srblocks_export.report import ArtifactReport
from srblocks_export.shapes import Shapes

TOLERANCE = 2e-5


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> Standin:
    return imitate(monkeypatch, MAJORS[-1])


def test_engine_is_built_from_the_onnx_file_and_verified(
    engine_export: tuple[str, list[ArtifactReport]], standin: Standin
) -> None:
    onnx, engine = engine_export[1]
    assert (onnx.error, engine.error) == (None, None)
    assert onnx.path is not None
    assert engine.path == onnx.path.with_suffix(".engine")
    assert engine.verification is not None
    assert len(engine.verification.cases) >= 4
    assert max(case.max_error or 0 for case in engine.verification.cases) < TOLERANCE
    entries = json.loads((onnx.path.parent / "manifest.json").read_text())["artifacts"]
    stored = {item["artifact"]["file"]: item for item in entries}
    entry = stored[engine.path.name]
    assert entry["artifact"]["portability"]["tensorrt"] == standin.module.__version__
    optimum = entry["io"]["input"].pop("opt")
    assert entry["io"] == stored[onnx.path.name]["io"]
    assert stored[onnx.path.name]["artifact"]["engine_input"]["opt"] == optimum
    assert entry["io"]["input"]["max"] == [2, 1, 40, 40]
    assert engine.path.read_bytes().partition(b"\n")[2] == onnx.path.read_bytes()


@pytest.mark.parametrize("options", [{}, {"reuse_output": True}, {"cuda_graph": True}], ids=str)
def test_engine_matches_network(options: dict[str, bool], engine: Path) -> None:
    check_outputs(runtime.load(engine, **options), TOLERANCE)


def test_fp16_engine_matches_network(newest: Standin, tmp_path: Path) -> None:
    path = export_engine(tmp_path, precision="fp16")[1].path
    assert path is not None
    check_outputs(runtime.load(path), 3e-2)


def check_outputs(artifact: runtime.Artifact, tolerance: float) -> None:
    net = small_network()
    for shape in ((1, 1, 9, 14), (2, 1, 17, 8), (1, 1, 9, 14)):
        lr = torch.rand(shape)
        with torch.no_grad():
            expected = net(lr)
        assert relative_error(artifact(lr), expected) < tolerance
        assert np.array_equal(artifact(lr.numpy()), artifact(lr).numpy())
    with pytest.raises(InputError, match=r"E202 .* height 41 is outside"):
        artifact(torch.rand(1, 1, 41, 9))


def test_engine_range_is_the_optimization_profile(newest: Standin, tmp_path: Path) -> None:
    report = export_engine(tmp_path, optimum=(1, 1, 20, 20), minimum=(1, 1, 8, 8))[1]
    assert report.path is not None
    plan = json.loads(report.path.read_bytes().partition(b"\n")[0])
    assert plan["profile"] == ["lr", [1, 1, 8, 8], [1, 1, 20, 20], [2, 1, 40, 40]]
    shapes = runtime.load(report.path).shapes
    assert shapes == Shapes((1, 1, 8, 8), (2, 1, 40, 40), optimum=(1, 1, 20, 20))


def test_default_profile() -> None:
    request = ExportConfig(formats=("trt",), out=Path())
    shapes = request.shapes(image_channels=3, min_size=4, size_multiple=8, bounded=True)
    assert shapes.profile == ((1, 3, 8, 8), (1, 3, 264, 480), (1, 3, 536, 960))
    large = ExportConfig(formats=("trt",), out=Path(), minimum=(2, 3, 1000, 8))
    shapes = large.shapes(image_channels=3, min_size=4, size_multiple=1, bounded=True)
    assert shapes.profile == ((2, 3, 1000, 8), (2, 3, 1000, 480), (2, 3, 1000, 960))


def test_options_without_effect_are_rejected() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"formats": ("trt",), "optimum": (1, 3, 9, 9), "maximum": (1, 3, 8, 8)}, r"E202 --opt: .* height 9 is"),
        (
            {"formats": ("onnx",), "optimum": (1, 3, 9, 9)},
            r"E200 --opt has no effect with --onnx; .* --trt or --trt-rtx",
        ),
        ({"formats": ("pt2",), "engine": BuildOptions(workspace=1)}, r"E200 --workspace has no effect with --pt2"),
        (
            {"formats": ("trt-rtx",), "engine": BuildOptions(timing_cache="t")},
            r"E200 --timing-cache has no effect with --trt-rtx; remove it, or use --trt or --torch-trt",
        ),
        (
            {"formats": ("trt",), "engine": BuildOptions(compute_capabilities=("8.6",))},
            r"E200 --compute-capability has no effect with --trt; remove it, or use --trt-rtx",
        ),
        ({"formats": ("pt2",), "device": "cuda"}, r"E200 --device cuda has no effect with --pt2"),
        ({"formats": ("aoti",), "engine": BuildOptions(tf32=True)}, r"E200 --tf32 has no effect with --aoti"),
        (
            {"formats": ("aoti",), "device": "cuda", "engine": BuildOptions(workspace=1)},
            r"E200 .* no effect with --aoti",
        ),
    ]
    for options, message in cases:
        with pytest.raises(ExportError, match=message):
            ExportConfig(out=Path(), **options).shapes(image_channels=3, min_size=1, size_multiple=1, bounded=True)


def test_only_engines_accept_cuda_graph(tmp_path: Path) -> None:
    (report,) = export_network(small_network(), ExportConfig(formats=("pt2",), out=tmp_path, verify="off"))
    assert report.path is not None
    with pytest.raises(ExportError, match=r"E200 pt2 artifacts have no option cuda_graph"):
        runtime.load(report.path, cuda_graph=True)


def test_wrong_engine_is_rejected(newest: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Any, stream: int) -> bool:
        memory(self._addresses["sr"], self.get_tensor_shape("sr"))[:] = 0.5
        return True

    monkeypatch.setattr(newest.module.IExecutionContext, "execute_async_v3", wrong)
    onnx, engine = export_engine(tmp_path)
    assert onnx.error is None
    assert engine.error is not None
    assert engine.error.exit_code == 6
    assert engine.path is not None
    assert engine.path.name.endswith(".engine.rejected")


def test_command_line_options_reach_tensorrt(
    newest: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--workspace", "1GiB", "--opt-level", "4", "--version-compatible", "--tf32", "--max", "1x1x40x40"]
    flags += ["--hardware-compat", "ampere+", "--timing-cache", str(tmp_path / "timings.bin")]
    code, out, err = run(capsys, "espcn", "--trt", "-o", tmp_path / "out", "--json", *flags)
    assert code == 0, err
    assert newest.arguments("set_memory_pool_limit") == [("WORKSPACE", 2**30)]
    assert newest.arguments("builder_optimization_level") == [(4,)]
    assert newest.arguments("build_serialized_network") == [(["TF32", "VERSION_COMPATIBLE"],)]
    assert (tmp_path / "timings.bin").is_file()
    onnx, engine = json.loads(out)["artifacts"]
    assert (onnx["format"], engine["format"]) == ("onnx", "trt")
    assert engine["manifest"]["precision"]["tf32"] is True
    assert engine["manifest"]["artifact"]["portability"]["hardware"] == "ampere+"

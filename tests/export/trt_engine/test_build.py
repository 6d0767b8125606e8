"""The engine builder: TensorRT for RTX itself, and stand-ins for the differences between TensorRT 8.6, 10 and 11."""

import ctypes
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers.support import needs_rtx
from helpers.tensorrt_standin import Standin, hide_driver
from srblocks_export.formats.tensorrt.trt_engine import (
    TENSORRT_RTX,
    BuildOptions,
    BuiltEngine,
    EngineError,
    build_engine,
    header_problem,
    misfit,
)
from srblocks_export.formats.tensorrt.trt_engine.host import compute_capability
from srblocks_export.formats.tensorrt.trt_engine.logger import readable

PROFILE = [(1, 1, 8, 8), (1, 1, 16, 16), (2, 1, 24, 32)]


def build(model: Path, profile: Any = PROFILE, **options: Any) -> BuiltEngine:
    return build_engine(model, profile, BuildOptions(**options), library=TENSORRT_RTX)


@needs_rtx
def test_plan_has_the_types_of_the_graph_and_serves_every_gpu(models: dict[str, Path]) -> None:
    found = {name: build(models[name]) for name in ("fp32", "fp16")}
    for name, engine in found.items():
        assert engine.facts["library"] == "tensorrt-rtx"
        assert engine.facts["tensorrt"].startswith("1.")
        assert {"7.5", "8.6", "12.0"} <= set(engine.facts["compute_capabilities"])
        assert ("HALF" in engine.tensor_types.values()) == (name == "fp16")
        assert engine.device_memory is not None
        assert engine.device_memory > 0
        assert engine.warnings == ()
        assert header_problem(TENSORRT_RTX.load(), engine.plan) is None
    some = build(models["fp32"], compute_capabilities=("8.6", "12.0", "8.6"), tf32=True, optimization_level=5)
    assert some.facts["compute_capabilities"] == ["8.6", "12.0"]
    assert len(some.plan) < len(found["fp32"].plan)
    fixed = build(models["fixed"], None)
    assert fixed.plan == build(models["fixed"], None).plan
    with pytest.raises(EngineError, match=r"E202 .* does not fit the model's 1x1x8x8"):
        build(models["fixed"])


def quantized(kind: int) -> onnx.ModelProto:
    """Return a convolution with quantized images and weights."""
    values = np.random.default_rng(0).integers(-9, 9, (8, 1, 3, 3))
    weights = helper.make_tensor("weights", kind, values.shape, values.ravel().astype(float))
    zero = helper.make_tensor("zero", kind, [], [0])
    nodes = [
        helper.make_node("QuantizeLinear", ["lr", "step", "zero"], ["quantized"], "quantize"),
        helper.make_node("DequantizeLinear", ["quantized", "step", "zero"], ["images"], "dequantize"),
        helper.make_node("DequantizeLinear", ["weights", "step", "zero"], ["kernel"], "kernel"),
        helper.make_node("Conv", ["images", "kernel"], ["sr"], "conv", pads=[1] * 4),
    ]
    images = helper.make_tensor_value_info("lr", TensorProto.FLOAT, [1, 1, "h", "w"])
    outputs = helper.make_tensor_value_info("sr", TensorProto.FLOAT, [1, 8, "h", "w"])
    constants = [zero, weights, numpy_helper.from_array(np.asarray(np.float32(0.1)), "step")]
    graph = helper.make_graph(nodes, "quantized", [images], [outputs], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


@needs_rtx
def test_quantized_graphs_serve_the_gpus_that_have_their_type(tmp_path: Path) -> None:
    for kind, name, first in ((TensorProto.INT8, "INT8", "7.5"), (TensorProto.FLOAT8E4M3FN, "FP8", "8.9")):
        onnx.save(quantized(kind), tmp_path / "model.onnx")
        engine = build(tmp_path / "model.onnx", [(1, 1, 8, 8), (1, 1, 16, 16), (1, 1, 32, 32)])
        assert engine.tensor_types["quantized"] == name
        assert engine.facts["compute_capabilities"][0] == first
        lacking = "" if first == "7.5" else "not for compute capability 7.5, 8.0, 8.6: "
        assert " ".join(engine.warnings).startswith(lacking)
        assert bool(engine.warnings) == bool(lacking)


@needs_rtx
def test_damaged_and_foreign_plans_are_recognized_without_a_gpu(models: dict[str, Path]) -> None:
    library = TENSORRT_RTX.load()
    plan = build(models["fixed"], None).plan
    for content in (b"", b"plan" * 40, plan[:40], b"ftrt" + plan[4:]):
        assert header_problem(library, content) == "not an engine of this version of the library, or damaged"


@needs_rtx
def test_options_that_the_library_lacks_are_errors(models: dict[str, Path], tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"hardware": "ampere+"}, r"E403 TensorRT for RTX 1\S+ has no hardware compatibility ampere\+"),
        ({"timing_cache": str(tmp_path / "t.bin")}, r"E403 TensorRT for RTX 1\S+ has no timing cache"),
        ({"timing_cache": str(tmp_path / "no" / "t.bin")}, r"E302 --timing-cache: no such folder: .*no; create it"),
    ]
    for options, message in cases:
        with pytest.raises(EngineError, match=message):
            build(models["fp32"], **options)
    assert list(tmp_path.iterdir()) == []


@needs_rtx
def test_invalid_profiles_are_errors(models: dict[str, Path]) -> None:
    profiles: dict[str, Any] = {
        "none": None,
        "optimum below minimum": [(1, 1, 8, 8), (1, 1, 4, 8), (1, 1, 16, 16)],
        "optimum above maximum": [(1, 1, 8, 8), (1, 1, 32, 32), (1, 1, 16, 16)],
        "channels": [(1, 3, 8, 8), (1, 3, 8, 8), (1, 3, 16, 16)],
    }
    for name, profile in profiles.items():
        with pytest.raises(EngineError) as caught:
            build(models["fp32"], profile)
        assert caught.value.number == 202, name


def test_messages_name_no_source_files() -> None:
    cause = "(cudaError 35: CUDA driver version is insufficient for CUDA runtime version)"
    for message, text in (  # of TensorRT for RTX 1.7.1 on a machine without a driver
        (
            "IRuntime::deserializeCudaEngine: Error Code 1: Cuda Runtime (In ScopedCudaStream at "
            f"/_src/common/dispatch/cudaResources.cpp:25 {cause})",
            cause,
        ),
        (
            "Error reading CUDA GPU properties: In getCurrentCC at /_src/runtime/dispatch/planHeaders.cpp:130 "
            f"{cause} Ensure that the GPU driver is installed and up to date.",
            f"Error reading CUDA GPU properties: {cause} Ensure that the GPU driver is installed and up to date.",
        ),
    ):
        assert readable(message) == text


def is_old(standin: Standin) -> bool:
    return standin.module.__version__.startswith("8.")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_calls_of_each_version(precision: str, standin: Standin, models: dict[str, Path]) -> None:
    engine = build_engine(models[precision], PROFILE)
    kind = standin.module.NetworkDefinitionCreationFlag
    flag = kind.EXPLICIT_BATCH if is_old(standin) else kind.STRONGLY_TYPED
    assert standin.arguments("create_network") == [(1 << int(flag),)]
    flags = ["FP16"] if is_old(standin) and precision == "fp16" else []
    assert standin.arguments("build_serialized_network") == [(flags,)]
    assert set(standin.made) <= {"create_network", "parse", "set_tactic_sources", "build_serialized_network"}
    has_sources = not standin.module.__version__.startswith("11.")
    sources = ["EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"]
    assert standin.arguments("set_tactic_sources") == ([(sources,)] if has_sources else [])
    assert json.loads(engine.plan.partition(b"\n")[0])["profile"] == ["lr", *map(list, PROFILE)]
    assert engine.facts["tensorrt"] == standin.module.__version__
    assert engine.facts["compute_capability"] == "9.0"
    assert (engine.facts["hardware"], engine.facts["version_compatible"]) == ("none", False)
    with pytest.raises(EngineError, match=r"E403 TensorRT \S+ builds for the GPU of this machine alone"):
        build_engine(models[precision], PROFILE, BuildOptions(compute_capabilities=("8.6",)))


def test_options_reach_each_version(standin: Standin, models: dict[str, Path]) -> None:
    options = BuildOptions(
        workspace=2**30, optimization_level=5, hardware="ampere+", version_compatible=True, tf32=True
    )
    facts = build_engine(models["fp32"], PROFILE, options).facts
    assert standin.arguments("set_memory_pool_limit") == [("WORKSPACE", 2**30)]
    assert standin.arguments("builder_optimization_level") == [(5,)]
    level = standin.module.HardwareCompatibilityLevel.AMPERE_PLUS
    assert standin.arguments("hardware_compatibility_level") == [(level,)]
    assert standin.arguments("build_serialized_network") == [(["TF32", "VERSION_COMPATIBLE"],)]
    assert (facts["hardware"], facts["version_compatible"]) == ("ampere+", True)
    same = BuildOptions(hardware="same-cc")
    if is_old(standin):
        with pytest.raises(EngineError, match=r"E403 TensorRT 8.6.0 has no hardware compatibility same-cc"):
            build_engine(models["fp32"], PROFILE, same)
    else:
        assert build_engine(models["fp32"], PROFILE, same).facts["hardware"] == "same-cc"


def test_timing_cache_is_reused_replaced_and_kept_on_failure(
    newest: Standin, models: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "timings.bin"
    options = BuildOptions(timing_cache=str(file))
    build_engine(models["fp32"], PROFILE, options)
    build_engine(models["fp32"], PROFILE, options)
    assert newest.arguments("set_timing_cache") == [(b"", False), (b"+", False)]
    newest.faults["no_engine"] = "no"
    with pytest.raises(EngineError):
        build_engine(models["fp32"], PROFILE, options)
    assert file.read_bytes() == b"++"
    newest.faults.clear()
    newest.calls.clear()
    file.write_bytes(b"foreign")  # of another GPU
    build_engine(models["fp32"], PROFILE, options)
    assert newest.arguments("set_timing_cache") == [(b"foreign", False), (b"", False)]
    assert file.read_bytes() == b"+"


def test_errors_include_the_message_of_each_version(standin: Standin, models: dict[str, Path]) -> None:
    node = "number 0" if is_old(standin) else "body/fold_1, module body"
    for fault, text, message in (
        ("no_cuda", "", r"E402 TensorRT cannot use the GPU \(CUDA initialization failure with error: 35\)"),
        ("parser_error", "no importer", rf"E503 TensorRT \S+: operator \S+ is rejected: no importer \(node {node}\)"),
        ("no_engine", "internal failure", r"E702 TensorRT could not build the engine: internal failure"),
        ("no_engine", "Cuda Runtime (out of memory)", r"E701 TensorRT: .*out of memory\); lower --max"),
        ("no_engine", "Could not find any implementation for node body", r"E701 TensorRT: Could not find any"),
    ):
        standin.faults = {fault: text}
        with pytest.raises(EngineError, match=message):
            build_engine(models["fp32"], PROFILE)


def test_misfit_states_the_first_mismatch() -> None:
    built = {"tensorrt": "10.15.1", "compute_capability": "8.6", "os": "linux-x86_64", "hardware": "none"}
    compatible, ampere, same = {"version_compatible": True}, {"hardware": "ampere+"}, {"hardware": "same-cc"}
    ahead = {"compute_capabilities": ["8.6"]}
    rows: list[tuple[dict[str, Any], dict[str, str], str | None]] = [
        ({}, {}, None),
        ({}, {"os": "windows-amd64"}, "built on linux-x86_64, this is windows-amd64"),
        ({}, {"tensorrt": "10.15.2"}, "built by TensorRT 10.15.1, this is 10.15.2"),
        ({}, {"compute_capability": "9.0"}, "built for a GPU of compute capability 8.6, this one has 9.0"),
        (compatible, {"tensorrt": "10.16.0"}, None),
        (compatible, {"tensorrt": "10.9.0"}, "built for TensorRT 10.15.1 and later 10.x, this is 10.9.0"),
        (compatible, {"tensorrt": "11.0"}, "built for TensorRT 10.15.1 and later 10.x, this is 11.0"),
        (ampere, {"compute_capability": "12.0"}, None),
        (ampere, {"compute_capability": "7.5"}, "built for compute capability 8.0 and above, this GPU has 7.5"),
        (same, {"compute_capability": "9.0"}, "built for a GPU of compute capability 8.6, this one has 9.0"),
        (ahead, {"compute_capability": "9.0"}, None),  # the library itself tells
        (ahead, {"tensorrt": "10.15.2"}, "built by TensorRT 10.15.1, this is 10.15.2"),
    ]
    for options, host, reason in rows:
        assert misfit(built | options, built | host) == reason, (options, host)


def test_compute_capability_comes_from_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def attribute(value: Any, number: int, device: Any) -> int:
        value._obj.value = {75: 12, 76: 1}[number] + device.value
        return 0

    def get(device: Any, number: int) -> int:
        device._obj.value = number
        return 0

    driver = SimpleNamespace(cuInit=lambda flags: 0, cuDeviceGet=get, cuDeviceGetAttribute=attribute)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert compute_capability() == "12.1"
    assert compute_capability(1) == "13.2"
    driver.cuInit = lambda flags: 100
    with pytest.raises(EngineError, match=r"E402 no usable CUDA device \(driver error 100\)"):
        compute_capability()
    hide_driver(monkeypatch)
    with pytest.raises(EngineError, match=r"E402 no usable CUDA driver \(.*cannot open shared object file\)"):
        compute_capability()

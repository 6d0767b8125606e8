"""Contract tests of the engine builder with fake TensorRT 8.6, 10 and 11."""

import ctypes
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.tensorrt_standin import Standin
from srblocks_export.formats.tensorrt.trt_engine import BuildOptions, EngineError, build_engine, misfit
from srblocks_export.formats.tensorrt.trt_engine.__main__ import main
from srblocks_export.formats.tensorrt.trt_engine.host import compute_capability

PROFILE = [(1, 1, 8, 8), (1, 1, 16, 16), (2, 1, 24, 32)]


def is_old(standin: Standin) -> bool:
    return standin.module.__version__.startswith("8.")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_precision_is_that_of_the_graph(precision: str, standin: Standin, models: dict[str, Path]) -> None:
    plan, facts = build_engine(models[precision], PROFILE)
    kind = standin.module.NetworkDefinitionCreationFlag
    flag = kind.EXPLICIT_BATCH if is_old(standin) else kind.STRONGLY_TYPED
    assert standin.arguments("create_network") == [(1 << int(flag),)]
    flags = ["FP16"] if is_old(standin) and precision == "fp16" else []
    assert standin.arguments("build_serialized_network") == [(flags,)]
    header = json.loads(plan.partition(b"\n")[0])
    assert header["profile"] == ["lr", *map(list, PROFILE)]
    assert facts["tensorrt"] == standin.module.__version__
    assert facts["compute_capability"] == "9.0"
    assert (facts["hardware"], facts["version_compatible"]) == ("none", False)


def test_fixed_shape_needs_no_profile(standin: Standin, models: dict[str, Path]) -> None:
    plan, _ = build_engine(models["fixed"])
    assert json.loads(plan.partition(b"\n")[0])["profile"] is None
    with pytest.raises(EngineError, match=r"E202 .* does not fit the model's 1x1x8x8"):
        build_engine(models["fixed"], PROFILE)


def test_options_reach_tensorrt(standin: Standin, models: dict[str, Path]) -> None:
    options = BuildOptions(
        workspace=2**30, optimization_level=5, hardware="ampere+", version_compatible=True, tf32=True
    )
    _, facts = build_engine(models["fp32"], PROFILE, options)
    assert standin.arguments("set_memory_pool_limit") == [("WORKSPACE", 2**30)]
    assert standin.arguments("builder_optimization_level") == [(5,)]
    level = standin.module.HardwareCompatibilityLevel.AMPERE_PLUS
    assert standin.arguments("hardware_compatibility_level") == [(level,)]
    assert standin.arguments("build_serialized_network") == [(["TF32", "VERSION_COMPATIBLE"],)]
    assert (facts["hardware"], facts["version_compatible"]) == ("ampere+", True)


def test_default_options_only_exclude_external_libraries(standin: Standin, models: dict[str, Path]) -> None:
    build_engine(models["fp32"], PROFILE)
    assert set(standin.made) <= {"create_network", "parse", "set_tactic_sources", "build_serialized_network"}
    has_sources = not standin.module.__version__.startswith("11.")
    sources = ["EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"]
    assert standin.arguments("set_tactic_sources") == ([(sources,)] if has_sources else [])


def test_missing_folder_is_an_error_before_the_build(
    newest: Standin, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EngineError, match=r"E302 --timing-cache: no such folder: .*absent"):
        build_engine(models["fp32"], PROFILE, BuildOptions(timing_cache=str(tmp_path / "absent" / "t.bin")))
    assert main([str(models["fp32"]), str(tmp_path / "absent" / "x.engine")]) == 3
    assert "no such folder" in capsys.readouterr().err
    assert newest.made == []


def test_unsupported_hardware_compatibility_is_an_error(standin: Standin, models: dict[str, Path]) -> None:
    options = BuildOptions(hardware="same-cc")
    if is_old(standin):
        with pytest.raises(EngineError, match=r"E403 TensorRT 8.6.0 has no hardware compatibility same-cc"):
            build_engine(models["fp32"], PROFILE, options)
    else:
        assert build_engine(models["fp32"], PROFILE, options)[1]["hardware"] == "same-cc"


def test_timing_cache_is_reused_and_kept_on_failure(standin: Standin, models: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "timings.bin"
    options = BuildOptions(timing_cache=str(file))
    build_engine(models["fp32"], PROFILE, options)
    build_engine(models["fp32"], PROFILE, options)
    assert standin.arguments("set_timing_cache") == [(b"", False), (b"+", False)]
    assert file.read_bytes() == b"++"
    standin.faults["no_engine"] = "no"
    with pytest.raises(EngineError):
        build_engine(models["fp32"], PROFILE, options)
    assert file.read_bytes() == b"++"


def test_timing_cache_of_another_gpu_is_replaced(standin: Standin, models: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "timings.bin"
    file.write_bytes(b"foreign")
    build_engine(models["fp32"], PROFILE, BuildOptions(timing_cache=str(file)))
    assert standin.arguments("set_timing_cache") == [(b"foreign", False), (b"", False)]
    assert file.read_bytes() == b"+"


def test_errors_include_the_message_of_tensorrt(standin: Standin, models: dict[str, Path]) -> None:
    node = "" if is_old(standin) else r"body/fold_1 \(Col2Im\): "
    for fault, text, message in (
        ("no_cuda", "", r"E402 TensorRT cannot use the GPU \(CUDA initialization failure with error: 35\)"),
        ("parser_error", "no importer", rf"E503 TensorRT \S+ rejects espcn_x3_fp32_dyn.onnx: {node}no importer"),
        ("no_engine", "internal failure", r"E702 TensorRT could not build the engine: internal failure"),
        ("no_engine", "Cuda Runtime (out of memory)", r"E701 TensorRT: .*out of memory\); lower --max"),
        ("no_engine", "Could not find any implementation for node body", r"E701 TensorRT: Could not find any"),
    ):
        standin.faults = {fault: text}
        with pytest.raises(EngineError, match=message):
            build_engine(models["fp32"], PROFILE)


def test_invalid_profiles_are_errors(standin: Standin, models: dict[str, Path]) -> None:
    profiles: dict[str, Any] = {
        "none": None,
        "optimum below minimum": [(1, 1, 8, 8), (1, 1, 4, 8), (1, 1, 16, 16)],
        "optimum above maximum": [(1, 1, 8, 8), (1, 1, 32, 32), (1, 1, 16, 16)],
        "channels": [(1, 3, 8, 8), (1, 3, 8, 8), (1, 3, 16, 16)],
    }
    for name, profile in profiles.items():
        with pytest.raises(EngineError) as caught:
            build_engine(models["fp32"], profile)
        assert caught.value.number == 202, name
    assert "build_serialized_network" not in standin.made


def test_misfit_states_the_first_mismatch() -> None:
    built = {"tensorrt": "10.15.1", "compute_capability": "8.6", "os": "linux-x86_64", "hardware": "none"}
    compatible, ampere, same = {"version_compatible": True}, {"hardware": "ampere+"}, {"hardware": "same-cc"}
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


def test_missing_driver_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", fail)
    with pytest.raises(EngineError, match=r"E402 no usable CUDA driver \(.*cannot open shared object file\)"):
        compute_capability()

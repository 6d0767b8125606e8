"""Contract tests of the TensorRT builder: on stand-ins that have the names of 8.6, 10 and 11, and no others."""

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

PROFILE = [(1, 1, 4, 4), (1, 1, 16, 16), (2, 1, 32, 48)]


def kind(standin: Standin) -> Any:
    return standin.module.NetworkDefinitionCreationFlag


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_precision_is_the_graphs_own(precision: str, standin: Standin, models: dict[str, Path]) -> None:
    plan, facts = build_engine(models[precision], PROFILE)
    old = standin.module.__version__.startswith("8.")
    assert standin.arguments("create_network") == [
        (1 << int(kind(standin).EXPLICIT_BATCH if old else kind(standin).STRONGLY_TYPED),)
    ]
    assert standin.arguments("build_serialized_network") == [(["FP16"] if old and precision == "fp16" else [],)]
    header = json.loads(plan.partition(b"\n")[0])
    assert header["profile"] == ["lr", *map(list, PROFILE)]
    assert facts["tensorrt"] == standin.module.__version__
    assert facts["compute_capability"] == "9.0"
    assert (facts["hardware"], facts["version_compatible"]) == ("none", False)


def test_a_model_of_one_shape_needs_no_profile(standin: Standin, models: dict[str, Path]) -> None:
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


def test_unset_options_are_left_to_tensorrt(standin: Standin, models: dict[str, Path]) -> None:
    build_engine(models["fp32"], PROFILE)
    assert set(standin.made) <= {"create_network", "parse", "set_tactic_sources", "build_serialized_network"}


def test_engines_need_no_library_beside_tensorrt(standin: Standin, models: dict[str, Path]) -> None:
    build_engine(models["fp32"], PROFILE)
    newest = standin.module.__version__.startswith("11.")
    own = ["EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"]
    assert standin.arguments("set_tactic_sources") == ([] if newest else [(own,)])


def test_a_place_that_cannot_be_written_is_noticed_before_the_build(
    standin: Standin, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EngineError, match=r"E302 --timing-cache: no such folder: .*absent"):
        build_engine(models["fp32"], PROFILE, BuildOptions(timing_cache=str(tmp_path / "absent" / "t.bin")))
    assert main([str(models["fp32"]), str(tmp_path / "absent" / "x.engine")]) == 3
    assert "no such folder" in capsys.readouterr().err
    assert standin.made == []


def test_an_option_that_this_tensorrt_lacks_is_named(standin: Standin, models: dict[str, Path]) -> None:
    options = BuildOptions(hardware="same-cc")
    if standin.module.__version__.startswith("8."):
        with pytest.raises(EngineError, match=r"E403 TensorRT 8.6.0 has no hardware compatibility same-cc"):
            build_engine(models["fp32"], PROFILE, options)
    else:
        assert build_engine(models["fp32"], PROFILE, options)[1]["hardware"] == "same-cc"


def test_timings_are_kept_for_the_next_build(standin: Standin, models: dict[str, Path], tmp_path: Path) -> None:
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


def test_timings_of_another_gpu_are_begun_anew(standin: Standin, models: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "timings.bin"
    file.write_bytes(b"foreign")
    build_engine(models["fp32"], PROFILE, BuildOptions(timing_cache=str(file)))
    assert standin.arguments("set_timing_cache") == [(b"foreign", False), (b"", False)]
    assert file.read_bytes() == b"+"


@pytest.mark.parametrize(
    ("fault", "said", "message"),
    [
        ("no_cuda", "", r"E402 TensorRT cannot use the GPU \(CUDA initialization failure with error: 35\)"),
        ("refuses", "no importer for Col2Im", r"E503 TensorRT \S+ rejects fp32.onnx: .*no importer for Col2Im"),
        ("no_engine", "internal failure", r"E702 TensorRT could not build the engine: internal failure"),
        ("no_engine", "Cuda Runtime (out of memory)", r"E701 TensorRT: .*out of memory\); lower --max"),
        ("no_engine", "Could not find any implementation for node body", r"E701 TensorRT: Could not find any"),
    ],
)
def test_what_tensorrt_says_is_passed_on(
    fault: str, said: str, message: str, standin: Standin, models: dict[str, Path]
) -> None:
    standin.faults[fault] = said
    with pytest.raises(EngineError, match=message):
        build_engine(models["fp32"], PROFILE)


def test_the_parser_names_the_node_where_it_can(standin: Standin, models: dict[str, Path]) -> None:
    standin.faults["refuses"] = "unsupported"
    with pytest.raises(EngineError) as caught:
        build_engine(models["fp32"], PROFILE)
    assert ("body/fold_1 (Col2Im): unsupported" in str(caught.value)) == (standin.module.__version__[:2] != "8.")


@pytest.mark.parametrize(
    "profile",
    [
        None,
        [(1, 1, 8, 8), (1, 1, 4, 8), (1, 1, 16, 16)],
        [(1, 3, 8, 8), (1, 3, 8, 8), (1, 3, 16, 16)],
        [(1, 1, 8, 8), (1, 1, 32, 32), (1, 1, 16, 16)],
    ],
    ids=["none", "falling", "channels", "beyond"],
)
def test_shapes_that_do_not_fit_are_refused(profile: Any, standin: Standin, models: dict[str, Path]) -> None:
    with pytest.raises(EngineError, match="E202"):
        build_engine(models["fp32"], profile)
    assert "build_serialized_network" not in standin.made


MADE = {"tensorrt": "10.15.1", "compute_capability": "8.6", "os": "linux-x86_64", "hardware": "none"}
LATER, AMPERE, SAME = {"version_compatible": True}, {"hardware": "ampere+"}, {"hardware": "same-cc"}


@pytest.mark.parametrize(
    ("made", "here", "reason"),
    [
        ({}, {}, None),
        ({}, {"os": "windows-amd64"}, "built on linux-x86_64, this is windows-amd64"),
        ({}, {"tensorrt": "10.15.2"}, "built by TensorRT 10.15.1, this is 10.15.2"),
        ({}, {"compute_capability": "9.0"}, "built for a GPU of compute capability 8.6, this one has 9.0"),
        (LATER, {"tensorrt": "10.16.0"}, None),
        (LATER, {"tensorrt": "10.9.0"}, "built for TensorRT 10.15.1 and later 10.x, this is 10.9.0"),
        (LATER, {"tensorrt": "11.0"}, "built for TensorRT 10.15.1 and later 10.x, this is 11.0"),
        (AMPERE, {"compute_capability": "12.0"}, None),
        (AMPERE, {"compute_capability": "7.5"}, "built for compute capability 8.0 and above, this GPU has 7.5"),
        (SAME, {"compute_capability": "9.0"}, "built for a GPU of compute capability 8.6, this one has 9.0"),
    ],
)
def test_an_engine_fits_where_it_was_made_for(made: dict[str, Any], here: dict[str, Any], reason: str | None) -> None:
    assert misfit(MADE | made, MADE | here) == reason


def test_the_compute_capability_is_the_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_no_driver_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with pytest.raises(EngineError, match=r"E402 no usable CUDA driver \(.*cannot open shared object file\)"):
        compute_capability()

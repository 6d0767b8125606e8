"""Contract tests of the TensorRT builder: on stand-ins that have the names of 8.6, 10 and 11, and no others."""

import ast
import ctypes
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tensorrt_standin
from srblocks import load_pretrained, to_precision
from srblocks_export.export import export_network, network_shapes
from srblocks_export.formats import FORMATS, trt_engine
from srblocks_export.formats.trt_engine import BuildOptions, EngineError, build_engine, misfit
from srblocks_export.formats.trt_engine.__main__ import main
from srblocks_export.formats.trt_engine.host import compute_capability
from srblocks_export.manifest import describe
from srblocks_export.request import ExportRequest
from support import REPOSITORY
from tensorrt_standin import MAJORS, Standin

PROFILE = [(1, 1, 4, 4), (1, 1, 16, 16), (2, 1, 32, 48)]
FOLDER = Path(trt_engine.__file__).parent


@pytest.fixture(params=MAJORS)
def standin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Standin:
    return tensorrt_standin.install(monkeypatch, request.param)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """FSRCNN as typed ONNX files in two precisions, and with one fixed shape."""
    folder = tmp_path_factory.mktemp("models")
    request = ExportRequest(formats=("onnx",), out=folder)
    net = load_pretrained("fsrcnn", scale=2)
    fixed = ExportRequest(formats=("onnx",), out=folder, shape=(1, 1, 8, 8))
    found = {"fp32": (net, request), "fp16": (to_precision(net, "fp16"), request), "fixed": (net, fixed)}
    for name, (model, wanted) in found.items():
        shapes = network_shapes(model, wanted)
        path = folder / f"{name}.onnx"
        FORMATS["onnx"].module.write(model, path, shapes=shapes, metadata=describe(net, shapes), request=wanted)
    return {name: folder / f"{name}.onnx" for name in found}


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
    with pytest.raises(EngineError, match=r"E202 .* does not fit a model that takes 1x1x8x8"):
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
    with pytest.raises(EngineError, match=r"E302 --timing-cache: .*absent is no folder"):
        build_engine(models["fp32"], PROFILE, BuildOptions(timing_cache=str(tmp_path / "absent" / "t.bin")))
    assert main([str(models["fp32"]), str(tmp_path / "absent" / "x.engine")]) == 3
    assert "absent is no folder" in capsys.readouterr().err
    assert standin.made == []


def test_a_lower_max_lowers_the_size_to_be_quickest_at(standin: Standin, tmp_path: Path) -> None:
    model = exported(tmp_path, minimum=(1, 1, 8, 8), maximum=(1, 1, 24, 32))
    assert main([str(model), "--max", "1x1x16x32"]) == 0
    assert entry_of(model.with_suffix(".engine"))["io"]["input"]["opt"] == [1, 1, 16, 32]


def test_a_model_that_is_not_its_manifests_is_refused(
    standin: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = exported(tmp_path, shape=(1, 1, 8, 8))
    model.write_bytes(model.read_bytes() + b"\0")
    assert main([str(model)]) == 9
    assert "is not the file that its manifest describes" in capsys.readouterr().err
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
        ("refuses", "no importer for Col2Im", r"E503 TensorRT \S+ does not take fp32.onnx: .*no importer for Col2Im"),
        ("no_engine", "internal failure", r"E702 TensorRT gave no engine: internal failure"),
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


def exported(folder: Path, **options: Any) -> Path:
    request = ExportRequest(formats=("onnx",), out=folder, verify="off", **options)
    (report,) = export_network(load_pretrained("fsrcnn", scale=2), request)
    assert report.path is not None
    return report.path


def entry_of(path: Path) -> dict[str, Any]:
    entries = json.loads((path.parent / "manifest.json").read_text())["artifacts"]
    return next(item for item in entries if item["artifact"]["file"] == path.name)


def test_the_command_builds_for_the_sizes_that_the_manifest_says(
    standin: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = exported(tmp_path, minimum=(1, 1, 8, 8), maximum=(1, 1, 24, 32))
    engine = model.with_suffix(".engine")
    assert main([str(model), "--hardware-compat", "ampere+", "--workspace", "512MiB"]) == 0
    assert "not verified" in capsys.readouterr().out
    assert json.loads(engine.read_bytes().partition(b"\n")[0])["profile"] == [
        "lr", [1, 1, 8, 8], [1, 1, 24, 32], [1, 1, 24, 32],
    ]  # fmt: skip
    entry = entry_of(engine)
    assert entry["artifact"]["portability"]["hardware"] == "ampere+"
    assert entry["io"]["input"]["opt"] == [1, 1, 24, 32]
    assert entry["model"] == entry_of(model)["model"]
    assert standin.arguments("set_memory_pool_limit") == [("WORKSPACE", 512 * 2**20)]
    assert main([str(model)]) == 3
    assert main([str(model), "--force", "--opt", "1x1x16x16"]) == 0
    assert entry_of(engine)["io"]["input"]["opt"] == [1, 1, 16, 16]
    assert len(json.loads((tmp_path / "manifest.json").read_text())["artifacts"]) == 2


def test_the_command_refuses_sizes_that_the_network_does_not_take(
    standin: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = exported(tmp_path, minimum=(1, 1, 8, 8), maximum=(1, 1, 24, 32))
    assert main([str(model), "--max", "1x1x64x32"]) == 2
    assert "E202 --max: the model does not take 64 at axis 2; give 8..24" in capsys.readouterr().err
    assert not model.with_suffix(".engine").exists()
    assert standin.made == []


def test_the_command_says_whether_an_engine_fits(
    standin: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = exported(tmp_path, shape=(1, 1, 8, 8))
    engine = model.with_suffix(".engine")
    assert main([str(model)]) == 0
    assert main([str(model), str(engine), "--check"]) == 0
    monkeypatch.setattr("srblocks_export.formats.trt_engine.host.compute_capability", lambda number=0: "7.5")
    assert main([str(model), str(engine), "--check"]) == 8
    assert "E801 fsrcnn_x2_fp32_1x1x8x8.engine: built for a GPU of compute" in capsys.readouterr().err
    assert main([str(model), str(tmp_path / "other.engine"), "--check"]) == 9


def test_a_model_without_a_manifest_is_built_as_told(
    standin: Standin, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = tmp_path / "x.engine"
    assert main([str(models["fp32"]), str(engine)]) == 2
    arguments = ["--min", "1x1x4x4", "--opt", "1x1x8x8", "--max", "1x1x8x8"]
    assert main([str(models["fp32"]), str(engine), *arguments]) == 0
    assert "without a manifest.json" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["x.engine"]


@pytest.mark.parametrize(
    ("fault", "said", "code"), [("no_engine", "out of memory", 7), ("refuses", "Col2Im", 5), ("no_cuda", "", 4)]
)
def test_a_failed_build_leaves_nothing(fault: str, said: str, code: int, standin: Standin, tmp_path: Path) -> None:
    model = exported(tmp_path, shape=(1, 1, 8, 8))
    before = (tmp_path / "manifest.json").read_bytes()
    standin.faults[fault] = said
    assert main([str(model)]) == code
    assert sorted(path.name for path in tmp_path.iterdir()) == [model.name, "manifest.json"]
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_foreign_manifest_is_noticed_before_the_build(standin: Standin, tmp_path: Path) -> None:
    model = exported(tmp_path, shape=(1, 1, 8, 8))
    (tmp_path / "manifest.json").write_text("{}")
    assert main([str(model)]) == 9
    assert standin.made == []


def test_without_tensorrt_the_command_ends_with_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert main([str(exported(tmp_path, shape=(1, 1, 8, 8)))]) == 4


@pytest.mark.parametrize("text", ["2GB", "", "-1", "1.5GiB", "GiB"])
def test_a_size_of_memory_is_whole(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["x.onnx", f"--workspace={text}"])
    assert "no size such as 2GiB" in capsys.readouterr().err


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.name)
def test_the_builder_is_python_3_9_and_imports_nothing_that_machines_lack(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names} <= set(sys.stdlib_module_names)
        if isinstance(node, ast.ImportFrom):
            siblings = node.level == 1 and (FOLDER / f"{node.module}.py").is_file()
            assert siblings or (node.module or "").partition(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize("file", [FOLDER.parent / "__init__.py", FOLDER.parent.parent / "__init__.py"], ids=str)
def test_what_is_imported_on_the_way_is_python_3_9(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 9))


def test_the_folder_alone_is_enough(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "trt_engine", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "trt_engine", "absent.onnx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 9
    assert done.stderr == "trt_engine: E901 absent.onnx is no file; give the path of an ONNX file\n"


def test_the_command_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules.update(torch=None, numpy=None, srblocks=None)\n"
        "from srblocks_export.formats.trt_engine.__main__ import main\n"
        "sys.exit(main(['absent.onnx']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY / "export", capture_output=True, text=True, check=False
    )
    assert done.returncode == 9
    assert "E901 absent.onnx is no file" in done.stderr

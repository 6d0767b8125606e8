"""Contract tests of programs with TensorRT engines, with a fake torch_tensorrt because there is no GPU.

They verify that our calls match every version that supports our torch versions, and how results are handled. That
TensorRT builds correct engines can only be tested with a GPU, by the verification of each export.
"""

import importlib.util
import json
import logging
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from export.torch_trt.programs import HOST, Program, write_program
from helpers.support import Unshuffled, trained_alike
from helpers.torch_tensorrt_standin import SURFACES, VERSIONS, Standin, surface, version_of
from srblocks import create_network, to_precision
from srblocks_export.formats.tensorrt.trt_engine import BuildOptions
from srblocks_export.formats.torch_tensorrt import library as torch_trt
from srblocks_export.formats.torch_tensorrt.loader import read

WHEEL = "SRBLOCKS_TORCH_TENSORRT"
# All arguments that we pass, by function.
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
INPUT = {"shape", "min_shape", "opt_shape", "max_shape", "dtype"}
SHAPES = [(1, 1, 8, 8), (3, 1, 17, 23), (2, 1, 9, 40), (4, 1, 32, 40)]


@pytest.mark.usefixtures("traced_once")
def test_every_version_accepts_the_calls_and_options(
    library: Standin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = tmp_path / "timing.cache"
    cache.write_bytes(b"earlier timings")
    options = BuildOptions(
        workspace=2**30,
        optimization_level=4,
        timing_cache=str(cache),
        hardware="ampere+",
        version_compatible=True,
        tf32=True,
    )
    program = write_program(tmp_path, engine=options)
    passed = library.called("compile")
    assert {name: passed[name] for name in SURFACES[VERSIONS[-1]]["defaults"] if name in passed} == {
        "disable_tf32": False,
        "workspace_size": 2**30,
        "optimization_level": 4,
        "hardware_compatible": True,
        "version_compatible": True,
        "min_block_size": 1,
    }
    assert library.cached == b"earlier timings"
    assert cache.read_bytes() == b"timings"
    compatible_host = HOST | {"tensorrt": "11.2.0", "compute_capability": "8.6"}
    monkeypatch.setattr(torch_trt, "host_facts", lambda device: compatible_host)
    loaded = read(program.path)
    assert loaded.run(torch.rand(1, 1, 8, 8)).shape == (1, 1, 16, 16)
    assert {name: set(arguments) for name, arguments in library.calls} == PASSED
    assert set(library.surface["input"]) >= INPUT
    assert capfd.readouterr() == ("", "")
    assert [record.name for record in caplog.records if record.name.startswith("torch_tensorrt")] == []
    assert logging.getLogger("torch_tensorrt").propagate


def test_default_build_is_one_engine_for_the_optimum(program: Program, default_build: Standin) -> None:
    assert default_build.tuned == (2, 1, 16, 16)
    assert program.details["fallback"] == {"engines": 1, "operators": 9, "in_torch": []}
    assert program.details["warnings"] == []
    passed = default_build.called("compile")
    defaults = default_build.surface["defaults"]
    assert passed["disable_tf32"] is True
    assert defaults["disable_tf32"] is False
    for name in ("workspace_size", "optimization_level", "hardware_compatible", "version_compatible"):
        assert passed[name] == defaults[name], name
    assert defaults.get("use_explicit_typing", True)
    cache = Path(passed["timing_cache_path"])
    assert cache.is_absolute()
    assert not cache.exists()


def test_repeated_build_is_identical_and_copies_the_network(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = program.path.read_bytes()
    moved: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "cuda", lambda self: moved.append(self) or self)
    second = write_program(tmp_path)
    assert second.path.read_bytes() == first
    assert len(moved) == 1
    assert moved[0] is not second.net


def test_program_computes_the_same_as_the_network(program: Program) -> None:
    loaded = read(program.path)
    assert loaded.device == "cuda"
    for shape in SHAPES:
        lr = torch.rand(shape)
        with torch.no_grad():
            expected = program.net(lr)
        assert torch.allclose(loaded.run(lr), expected, atol=1e-6)
        assert torch.equal(loaded.run(lr.to(memory_format=torch.channels_last)), loaded.run(lr))


def test_half_precision_has_float32_input_and_output(newest: Standin, tmp_path: Path) -> None:
    net = trained_alike(create_network("fsrcnn", scale=2, width=8, shrunk_width=4, depth=1))
    lr = torch.rand(2, 1, 12, 20)
    with torch.no_grad():
        expected = net(lr)
    for precision in ("fp16", "bf16"):
        half = write_program(tmp_path, to_precision(net, precision), reference=net, precision=precision)
        sr = read(half.path).run(lr)
        assert sr.dtype == torch.float32
        assert 0 < float((sr - expected).abs().max() / expected.std()) < 0.1, precision


def test_fixed_shape(newest: Standin, tmp_path: Path) -> None:
    program = write_program(tmp_path, shape=(1, 1, 9, 14))
    assert newest.called("compile")["arg_inputs"][0].ranges == ((1, 1, 9, 14),) * 3
    lr = torch.rand(1, 1, 9, 14)
    with torch.no_grad():
        assert torch.allclose(read(program.path).run(lr), program.net(lr), atol=1e-6)
    first = program.path.read_bytes()
    assert write_program(tmp_path, shape=(1, 1, 9, 14)).path.read_bytes() == first


def test_size_multiples_stay_dynamic(newest: Standin, tmp_path: Path) -> None:
    program = write_program(tmp_path, Unshuffled())
    loaded = read(program.path)
    for shape in ((1, 1, 8, 8), (3, 1, 18, 22), (4, 1, 32, 40)):
        lr = torch.rand(shape)
        assert torch.allclose(loaded.run(lr), program.net(lr), atol=1e-6)
    assert newest.tuned == (2, 1, 16, 16)


def test_warnings_about_operators_in_pytorch_and_the_optimum(newest: Standin, tmp_path: Path) -> None:
    prelu = "aten.prelu.default"
    newest.unsupported = {prelu}
    program = write_program(tmp_path, optimum=(1, 1, 16, 24))
    count = sum(isinstance(layer, nn.PReLU) for layer in program.net.modules())
    assert program.details["fallback"] == {"engines": count + 1, "operators": 9, "in_torch": [prelu] * count}
    untraceable, fallback = program.details["warnings"]
    assert newest.tuned == (2, 1, 16, 24)
    assert untraceable.startswith("torch-trt is optimized for 2x1x16x24, not 1x1x16x24")
    assert fallback == f"torch-trt: {count + 1} engines; {count} operators run in PyTorch: {prelu} ({count})"
    lr = torch.rand(3, 1, 10, 12)
    with torch.no_grad():
        assert torch.allclose(read(program.path).run(lr), program.net(lr), atol=1e-6)


def test_file_contains_the_manifest_and_its_requirements(newest: Standin, program: Program) -> None:
    with zipfile.ZipFile(program.path) as archive:
        (embedded,) = [json.loads(archive.read(name)) for name in archive.namelist() if name.endswith("srblocks.json")]
        assert {record.date_time for record in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        records = b"".join(map(archive.read, archive.namelist()))
    assert embedded["portability"] == program.details["portability"]
    assert embedded["portability"] == HOST | {
        "torch_tensorrt": newest.module.__version__,
        "torch": str(torch.__version__),
        "hardware": "none",
        "version_compatible": False,
    }
    manifest = read(program.path).manifest
    assert manifest == {key: value for key, value in embedded.items() if key != "portability"}
    assert manifest["model"]["name"] == "fsrcnn"
    for folder in (Path(torch.__file__).parent, Path(__file__).parent, Path.home(), program.path.parent):
        assert f"{folder}/".encode() not in records, folder


def sources() -> Callable[[str], str] | None:
    """Return a function that reads a file of torch_tensorrt, installed or as a wheel, without importing it."""
    if wheel := os.environ.get(WHEEL):
        archive = zipfile.ZipFile(wheel)
        return lambda file: archive.read(f"torch_tensorrt/{file}").decode()
    spec = importlib.util.find_spec("torch_tensorrt") if "torch_tensorrt" not in sys.modules else None
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return lambda file: (folder / file).read_text()


def test_recorded_parameters_match_the_installed_library() -> None:
    read_source = sources()
    if read_source is None:
        pytest.skip(f"needs torch_tensorrt, installed or as the wheel that {WHEEL} names")
    real = surface(read_source)
    if (version := version_of(read_source)) in SURFACES:
        assert real == SURFACES[version]
    else:  # an unrecorded version must have what we rely on
        newest = SURFACES[VERSIONS[-1]]
        for name, passed in PASSED.items():
            assert passed <= {*real["functions"][name]["positional"], *real["functions"][name]["keyword"]}, name
        assert set(real["input"]) >= INPUT
        assert (real["parts"], real["unsupported"]) == (newest["parts"], newest["unsupported"])
        assert real["defaults"].get("use_explicit_typing", True)

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
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from export.torch_trt.programs import HOST, fsrcnn, write, written
from helpers.support import Unshuffled, trained_alike
from helpers.torch_tensorrt_standin import SURFACES, VERSIONS, Standin, surface, version_of
from srblocks import create_network, to_precision
from srblocks_export.formats.tensorrt.trt_engine import BuildOptions
from srblocks_export.formats.torch_tensorrt import loader as torch_trt

WHEEL = "SRBLOCKS_TORCH_TENSORRT"
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
    (warning,) = details["warnings"]
    assert warning.startswith("torch-trt is optimized for 2x1x16x24, not 1x1x16x24")


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
    assert warning == (f"torch-trt: {count + 1} engines; {count} operators run in PyTorch: {prelu} ({count})")
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

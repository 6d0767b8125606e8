"""AOTInductor packages: compiled for this machine, compared with the network, and refused where they do not fit."""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch._inductor import config, exc

from srblocks import create_network, load_pretrained, network_spec, optimize
from srblocks.evaluate.command import main as evaluate
from srblocks.network import Network
from srblocks.registry import network_specs
from srblocks_export.cli import main
from srblocks_export.errors import ExportError, InputError
from srblocks_export.export import export_network, network_shapes
from srblocks_export.formats import aoti, aoti_package
from srblocks_export.manifest import FILE, SCHEMA, describe
from srblocks_export.request import ExportRequest
from srblocks_export.runtime import Artifact, load
from srblocks_export.verify import References, Worker
from support import Unshuffled, filled, relative_error, trained_alike

pytestmark = pytest.mark.skipif(aoti.compiler() is None, reason="needs a C++ compiler")

TOLERANCE = 2e-5
STEM = "archive/data/aotinductor/model/model.wrapper"
# One of each framework; all others are in the slow test.
NETWORKS = ["vdsr", "lapsrn", "dbpn_ss"]


def export_and_verify(net: Network, folder: Path, worker: Worker, tolerance: float) -> None:
    request = ExportRequest(formats=("aoti",), out=folder)
    exported = optimize(net)
    shapes = network_shapes(exported, request)
    path = folder / "artifact.aoti.pt2"
    aoti.write(exported, path, shapes=shapes, metadata=describe(net, shapes), request=request)
    result = worker.verify(path, References(net, shapes, folder), tolerance)
    assert result.problem is None
    assert len({tuple(case["shape"]) for case in result.cases}) >= 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled network, exported and verified as users do it."""
    folder = tmp_path_factory.mktemp("exported")
    (report,) = export_network(load_pretrained("fsrcnn", scale=2), ExportRequest(formats=("aoti",), out=folder))
    assert report.error is None
    return folder


@pytest.fixture(scope="module")
def package(folder: Path) -> Path:
    return folder / "fsrcnn_x2_fp32_dyn.aoti.pt2"


@pytest.fixture(scope="module")
def artifact(package: Path) -> Artifact:
    return load(package)


def records(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, record in content.items():
            archive.writestr(name, record)
    return path


def tampered(package: Path, path: Path, **changes: object) -> Path:
    """The package with other metadata; those of srblocks are changed inside."""
    content = records(package)
    metadata = json.loads(content[f"{STEM}_metadata.json"])
    facts = json.loads(metadata["srblocks_facts"])
    for name, value in changes.items():
        (facts if name in facts else metadata)[name] = value
    metadata["srblocks_facts"] = json.dumps(facts)
    return written(path, content | {f"{STEM}_metadata.json": json.dumps(metadata).encode()})


@pytest.fixture
def nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def loader(*arguments: object) -> None:
        pytest.fail("machine code was loaded")

    monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", loader)


@pytest.mark.parametrize("name", NETWORKS)
def test_package_equals_the_network_at_several_sizes(name: str, tmp_path: Path, worker: Worker) -> None:
    spec = network_spec(name)
    net = filled(create_network(name, scale=min(spec.scales), **spec.reduced))
    export_and_verify(net, tmp_path, worker, TOLERANCE)


def test_the_networks_above_and_the_bundled_one_are_of_every_framework() -> None:
    frameworks = {network_spec(name).framework for name in (*NETWORKS, "fsrcnn")}
    assert frameworks == {spec.framework for spec in network_specs()} - {"other"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [spec.name for spec in network_specs() if "aoti" not in spec.limits and spec.name not in NETWORKS]
)
def test_package_of_every_other_network_equals_the_network(name: str, tmp_path: Path, worker: Worker) -> None:
    spec = network_spec(name)
    net = filled(create_network(name, scale=min(spec.scales), **spec.reduced))
    export_and_verify(net, tmp_path, worker, {"san": 1e-4, "csnln": 1e-4}.get(name, TOLERANCE))


@pytest.mark.parametrize("precision", ["bf16", pytest.param("fp16", marks=pytest.mark.slow)])
def test_half_precision_is_close_to_the_network_and_takes_any_strides(precision: str, tmp_path: Path) -> None:
    net = trained_alike(create_network("edsr_baseline", depth=1, width=16, value_range=1.0))
    (report,) = export_network(net, ExportRequest(formats=("aoti",), out=tmp_path, precision=precision))
    assert report.error is None
    assert report.path is not None
    half = load(report.path)
    assert half.manifest["precision"]["compute"] == {"bf16": "bfloat16", "fp16": "float16"}[precision]
    lr = torch.rand(2, 3, 9, 14)
    assert torch.equal(half(lr.to(memory_format=torch.channels_last)), half(lr))


def test_the_entry_says_what_the_package_is_bound_to(folder: Path, package: Path) -> None:
    (entry,) = json.loads((folder / FILE).read_text())["artifacts"]
    metadata = json.loads(records(package)[f"{STEM}_metadata.json"])
    assert entry["artifact"]["portability"] == {
        "device": "cpu",
        "os": f"{metadata['AOTI_PLATFORM']}-{metadata['AOTI_MACHINE']}",
        "cpu_isa": metadata["AOTI_CPU_ISA"],
        "torch": torch.__version__.partition("+")[0],
    }
    assert entry["verify"]["status"] == "pass"
    assert entry["verify"]["max_error"] < TOLERANCE
    embedded = load(package).manifest
    assert embedded == json.loads(metadata["srblocks"])
    assert embedded["schema"] == SCHEMA
    assert embedded == {key: entry[key] for key in ("schema", "model", "io", "precision", "rewrites")}


def test_nothing_inside_names_this_machine(folder: Path, package: Path) -> None:
    content = records(package)
    assert [name for name in content if name.startswith("archive/data")] == [
        f"{STEM}.cpp",
        f"{STEM}_metadata.json",
        f"{STEM}.so",
    ]
    places = [Path(torch.__file__).parents[1], Path.cwd(), Path.home(), folder, tempfile.gettempdir(), sys.prefix]
    for name, record in content.items():
        for place in (*(f"{place}/" for place in places), "site-packages", ".py\0", "g++ "):
            assert place.encode() not in record, (name, place)
    assert b"/torch/csrc/inductor/" in content[f"{STEM}.so"]


def test_a_fresh_process_loads_it_without_the_compiler_and_leaves_nothing(package: Path, tmp_path: Path) -> None:
    code = """
import os, sys, tempfile, torch
from srblocks_export.runtime import load
sr = load(sys.argv[1])(torch.rand(1, 1, 9, 7))
assert sr.shape == (1, 1, 18, 14) and torch.isfinite(sr).all()
assert not {"torch._inductor.codecache", "srblocks_export.formats.pt2"} & set(sys.modules)
left = [name for folder, _, files in os.walk(tempfile.gettempdir()) for name in files]
assert left == [], left
"""
    environment = os.environ | {"TMPDIR": str(tmp_path), "PATH": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, package], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_threads_are_those_of_the_caller(artifact: Artifact) -> None:
    lr = torch.rand(1, 1, 40, 30)
    expected = artifact(lr)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.testing.assert_close(artifact(lr), expected, rtol=1e-5, atol=1e-6)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "layout",
    [
        lambda lr: lr.to(memory_format=torch.channels_last),
        lambda lr: lr.transpose(2, 3).contiguous().transpose(2, 3),
        lambda lr: torch.stack([lr, 9 + lr], -1)[..., 0],
        lambda lr: torch.cat([lr.flatten().new_full((3,), 9.0), lr.flatten()])[3:].view(lr.shape),
        lambda lr: lr[:1].expand(3, -1, -1, -1),
        lambda lr: torch.as_strided(lr.contiguous(), lr.shape, (lr[0].numel(), 1, lr.shape[3], 1)),
        lambda lr: torch.view_as_complex(torch.stack([lr, -lr], -1)).conj().imag,
        lambda lr: lr.double(),
        lambda lr: lr.clone().requires_grad_(),
    ],
    ids=["channels_last", "transposed", "sliced", "offset", "expanded", "odd-strides", "negated", "double", "gradient"],
)
def test_any_layout_of_memory_gives_the_same(
    artifact: Artifact, layout: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    lr = torch.rand(2, 1, 11, 17, generator=torch.Generator().manual_seed(0))
    given = layout(lr)
    with torch.no_grad():
        expected = load_pretrained("fsrcnn", scale=2)(given.float().contiguous())
    sr = artifact(given)
    assert not sr.requires_grad
    assert sr.is_contiguous()
    assert relative_error(sr, expected) < TOLERANCE


def test_inputs_are_not_changed_and_outputs_are_the_callers(artifact: Artifact) -> None:
    lr = torch.rand(1, 1, 12, 9)
    before = lr.clone()
    first = artifact(lr)
    kept = first.clone()
    second = artifact(torch.zeros_like(lr))
    assert torch.equal(lr, before)
    assert torch.equal(first, kept)
    assert not torch.equal(first, second)


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Artifact]:
    (report,) = export_network(
        Unshuffled(), ExportRequest(formats=("aoti",), out=tmp_path_factory.mktemp("even"), maximum=(4, 1, 32, 64))
    )
    assert report.error is None
    assert report.path is not None
    yield load(report.path)


def test_sizes_out_of_range_are_refused_though_the_machine_code_would_take_them(even: Artifact) -> None:
    assert even(torch.rand(3, 1, 6, 10)).shape == (3, 1, 12, 20)
    assert even.shapes.minimum == (1, 1, 4, 4)
    for shape, message in (
        ((1, 1, 7, 8), r"height 7 is not a multiple of 2; give 1..4x1x4..32x4..64 in multiples of 2"),
        ((1, 1, 2, 8), r"height 2 is outside 4..32"),
        ((1, 1, 8, 66), r"width 66 is outside 4..64"),
        ((5, 1, 8, 8), r"batch 5 is outside 1..4"),
        ((1, 3, 8, 8), r"channels 3 is outside 1..1"),
    ):
        with pytest.raises(InputError, match=message):
            even(torch.rand(shape))
    assert even._run(torch.rand(1, 1, 2, 8)).shape == (1, 1, 4, 16)


def test_an_export_of_one_shape_prints_and_leaves_nothing(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    settings = config.save_config()
    environment, level = dict(os.environ), logging.getLogger("torch").level
    code = main(["espcn", "--scale", "3", "--shape", "1x1x9x14", "--aoti", "--json", "-q", "-o", "out"])
    out, err = capfd.readouterr()
    assert code == 0
    assert json.loads(out)["exit_code"] == 0
    assert err.startswith("srblocks-export: warning: fresh weights (seed 0) of espcn x3; ")
    assert err.count("\n") == 1
    assert [path for path in Path("temporary").rglob("*") if path.is_file()] == []
    assert {path.name for path in Path("out").iterdir()} == {"espcn_x3_fp32_1x1x9x14.aoti.pt2", FILE}
    assert {path.name for path in Path().iterdir()} == {"temporary", "out"}
    assert config.save_config() == settings
    assert dict(os.environ) == environment
    assert logging.getLogger("torch").level == level
    if shutil.which("ps"):
        command = ["ps", "--ppid", str(os.getpid()), "-o", "args="]
        children = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        assert [line for line in children if "inductor" in line or "++" in line] == []
    static = load(tmp_path / "out" / "espcn_x3_fp32_1x1x9x14.aoti.pt2")
    assert static(np.zeros((1, 1, 9, 14), np.float32)).shape == (1, 1, 27, 42)
    with pytest.raises(InputError, match=r"E202 .* height 10 is outside 9..9"):
        static(torch.zeros(1, 1, 10, 14))


@pytest.mark.slow
def test_two_exports_write_the_same_bytes(tmp_path: Path) -> None:
    net = filled(create_network("espcn", scale=2))
    paths = []
    for name in ("first", "second-with-a-longer-name"):
        (report,) = export_network(net, ExportRequest(formats=("aoti",), out=tmp_path / name, verify="off"))
        assert report.path is not None
        paths.append(report.path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"AOTI_PLATFORM": "win32"}, r"was built for win32-\w+, this machine has "),
        ({"AOTI_MACHINE": "riscv64"}, r"was built for \w+-riscv64, this machine has "),
        ({"AOTI_CPU_ISA": "AVX512 AVX99"}, r"was built for processors with AVX512 AVX99, this machine has no .*avx99"),
        ({"cpu_features": {"quantum": True}}, r"was built for processors with .*, this machine has no quantum"),
    ],
)
@pytest.mark.usefixtures("nothing_is_loaded")
def test_a_package_for_another_machine_is_refused_before_its_code_is_loaded(
    package: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = tampered(package, tmp_path / "other.aoti.pt2", **changes)
    with pytest.raises(
        ExportError, match=f"E801 .*other.aoti.pt2 {message}.*; export it again here with --aoti"
    ) as caught:
        load(path)
    assert caught.value.exit_code == 8


@pytest.mark.usefixtures("nothing_is_loaded")
def test_a_package_for_a_larger_processor_is_refused(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64", "avx2": True, "fma3": True})
    path = tampered(package, tmp_path / "amx.aoti.pt2", AOTI_CPU_ISA="AVX512 AVX512_VNNI AMX_TILE", cpu_features={})
    with pytest.raises(ExportError, match="this machine has no avx512_f, avx512_vnni, amx_tile; export it again here"):
        load(path)
    path = tampered(package, tmp_path / "neon.aoti.pt2", AOTI_CPU_ISA="ASIMD", cpu_features={"sve_max_length": 32})
    with pytest.raises(ExportError, match="this machine has no neon, sve_max_length; export it again here"):
        load(path)
    path = tampered(package, tmp_path / "any.aoti.pt2", AOTI_CPU_ISA="INVALID_VEC_ISA", cpu_features={"avx2": True})
    with pytest.raises(pytest.fail.Exception, match="machine code was loaded"):
        load(path)


@pytest.mark.parametrize("granted", [True, False])
def test_tiles_of_amx_need_the_permission_of_the_system(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, granted: bool
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_tile": True})
    monkeypatch.setattr(torch.cpu, "_init_amx", lambda: asked.append(granted) or granted)
    path = tampered(package, tmp_path / "amx.aoti.pt2", AOTI_CPU_ISA="AMX_TILE", cpu_features={})
    if granted:
        assert load(path)(torch.rand(1, 1, 5, 5)).shape == (1, 1, 10, 10)
    else:
        with pytest.raises(ExportError, match="this machine has no permission to use amx_tile"):
            load(path)
    assert asked == [granted]


@pytest.mark.usefixtures("nothing_is_loaded")
def test_a_package_for_a_gpu_is_refused_without_one_or_on_another(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tampered(package, tmp_path / "cuda.aoti.pt2", AOTI_DEVICE_KEY="cuda", AOTI_COMPUTE_CAPABILITY="90")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ExportError, match="E402 .*was built for CUDA, there is no usable CUDA device; run it"
    ) as caught:
        load(path)
    assert caught.value.exit_code == 4
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(aoti_package, "_compute_capability", lambda: "86")
    with pytest.raises(ExportError, match=r"E801 .*for GPUs of compute capability 9\.0, this machine has 8\.6; export"):
        load(path)


def test_float32_stays_float32_on_a_gpu_while_the_code_runs() -> None:
    libraries = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)
    before = [library.fp32_precision for library in libraries]
    with pytest.raises(KeyError), aoti._without_tf32():
        assert [library.fp32_precision for library in libraries] == ["ieee", "ieee"]
        raise KeyError
    assert [library.fp32_precision for library in libraries] == before
    assert torch.backends.cudnn.allow_tf32


def test_compiling_for_a_gpu_needs_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    request = ExportRequest(formats=("aoti",), out=tmp_path, device="cuda", verify="off")
    (report,) = export_network(create_network("espcn", scale=2), request)
    assert str(report.error).startswith("E402 aoti: no usable CUDA device; ")


@pytest.mark.usefixtures("nothing_is_loaded")
def test_corrupt_and_foreign_files_are_refused(package: Path, tmp_path: Path) -> None:
    whole = package.read_bytes()
    content = records(package)
    path = tmp_path / "some.aoti.pt2"

    def refused(reason: str) -> None:
        with pytest.raises(ExportError, match=rf"E901 .* cannot be loaded as aoti \({reason}.*\); export it again"):
            load(path)

    for damaged in (whole[: len(whole) // 2], whole[:-30], b"hello", b""):
        path.write_bytes(damaged)
        refused("File is not a zip file")
    middle = whole.index(b"\x7fELF") + 5000
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    refused("Bad CRC-32")
    written(path, content | {f"{STEM}.so": b"\x7fELF" + bytes(5000)})
    refused("its machine code is not what was written")
    written(path, {name: record for name, record in content.items() if not name.endswith(".so")})
    refused("no machine code in the package")
    written(path, {name: record for name, record in content.items() if not name.endswith(".json")})
    refused("no AOTInductor package of one network")
    written(path, content | {f"{STEM}_metadata.json": b'{"AOTI_DEVICE_KEY": "cpu"}'})
    refused("no package of srblocks")
    torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.rand(2),)), path)
    refused("no AOTInductor package of one network")
    tampered(package, path, srblocks='{"schema": "another"}')


def test_a_manifest_of_another_kind_is_refused(package: Path, tmp_path: Path) -> None:
    path = tampered(package, tmp_path / "other.aoti.pt2", srblocks='{"schema": "another"}')
    with pytest.raises(ExportError, match="E901 .* carries no usable srblocks.export/1 manifest"):
        load(path)


def test_code_that_this_torch_cannot_load_is_no_corrupt_file(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loader(*arguments: object) -> None:
        raise RuntimeError("Error in dlopen: undefined symbol: aoti_torch_new\n#0 a trace")

    monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", loader)
    message = (
        r"E801 .* was built with torch 3\.0\.0, .* cannot load it: Error in dlopen: undefined symbol: aoti_torch_new;"
    )
    with pytest.raises(ExportError, match=message):
        load(tampered(package, tmp_path / "newer.aoti.pt2", torch="3.0.0"))


def test_the_evaluation_of_a_package_for_another_machine_ends_with_code_8(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (24, 20)).save(tmp_path / "images" / "a.png")
    path = tampered(package, tmp_path / "tampered.aoti.pt2", AOTI_MACHINE="riscv64")
    assert evaluate(["--artifact", str(path), "--data", str(tmp_path / "images")]) == 8
    out, err = capsys.readouterr()
    assert out == ""
    assert "E801" in err
    assert err.count("\n") == 1


COMPILER = """a.wrapper.cpp: In function f:
a.wrapper.cpp:3:1: error: 'y' was not declared
   3 | y
compilation terminated"""


@pytest.mark.parametrize(
    "failure,message",
    [
        (
            exc.CppCompileError(["g++", "x"], COMPILER),
            "E703 the build of ESPCN failed: .*:3:1: error: 'y' was not declared; mend",
        ),
        (
            exc.InductorError(exc.CppCompileError(["g++", "x"], "killed"), None),
            "E703 the build of ESPCN failed: C\\+\\+ compile error; mend the compiler",
        ),
        (
            exc.InductorError(exc.MissingOperatorWithoutDecomp("aten.strange", [], {}), None),
            "E502 AOTInductor cannot compile ESPCN: missing lowering, target: aten.strange; use --pt2 or --onnx",
        ),
        (
            exc.InductorError(exc.LoweringException(NotImplementedError("odd"), "aten.odd", [], {}), None),
            "E502 AOTInductor cannot compile ESPCN: NotImplementedError: odd, target: aten.odd; use --pt2 or --onnx",
        ),
        (exc.InvalidCxxCompiler("g--"), "E403 aoti: Compiler: g-- is not found.; install g"),
        (OSError(28, "No space left on device"), "E703 the build of ESPCN failed: .*No space left on device; mend"),
    ],
)
def test_a_failed_compilation_says_why_in_one_line(
    failure: Exception, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise failure

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", fail)
    request = ExportRequest(formats=("aoti",), out=tmp_path / "out", verify="off", optimize=False)
    (report,) = export_network(create_network("espcn", scale=2), request)
    assert report.error is not None
    with pytest.raises(ExportError, match=message):
        raise report.error
    assert list((tmp_path / "out").iterdir()) == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_compiler_of_another_name_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, object]] = []

    def record(*arguments: object, inductor_configs: dict[str, object], **named: object) -> None:
        given.append(inductor_configs)
        raise RuntimeError("enough")

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", record)
    request = ExportRequest(formats=("aoti",), out=tmp_path, verify="off", name="a")
    monkeypatch.delenv("CXX", raising=False)
    export_network(create_network("espcn", scale=2), request)
    monkeypatch.setattr(aoti.shutil, "which", lambda name: name if name == "clang++" else None)
    export_network(create_network("espcn", scale=2), request)
    assert [options.get("cpp.cxx") for options in given] == [None, (None, "clang++")]


def test_without_the_flag_for_the_instruction_set_every_capability_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"architecture": "x86_64", "avx2": True, "fma3": True, "f16c": True, "sha": True, "amx_tile": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: here)
    assert aoti._features(["-mavx2", "-mfma", "-mf16c"]) == {"avx2": True, "fma3": True, "f16c": True}
    assert aoti._features(None) == {"avx2": True, "fma3": True, "f16c": True, "sha": True}
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"architecture": "arm64", "neon": True, "sve_max_length": 32}
    )
    assert aoti._features(["-march=armv8-a"]) == {"neon": True, "sve_max_length": 32}

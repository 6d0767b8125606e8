"""`--trt` on a machine without TensorRT or a GPU, and exit codes 4, 5, 6 and 8."""

import hashlib
import json
import re
from pathlib import Path

import onnx
import pytest
import torch
from PIL import Image

from helpers import tensorrt_standin
from helpers.support import needs_rtx, run
from srblocks.evaluate.cli import main as evaluate
from srblocks_export import formats, runtime
from srblocks_export.formats import FORMATS, base
from srblocks_export.formats.tensorrt import exporter as tensorrt_exporter
from srblocks_export.formats.tensorrt import runner, trt_engine
from srblocks_export.formats.tensorrt.trt_engine import TENSORRT_RTX, BuiltEngine, host_facts
from srblocks_export.manifest import Manifest
from srblocks_export.runtime import ExportError

pytestmark = pytest.mark.usefixtures("one_verifier")

SIZES = ["--min", "1x1x8x8", "--max", "1x1x24x32"]


@pytest.fixture(autouse=True)
def _no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide TensorRT, even if it is installed."""
    find_spec = formats.base.importlib.util.find_spec
    monkeypatch.setattr(
        formats.base.importlib.util, "find_spec", lambda name: None if "tensorrt" in name else find_spec(name)
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_without_tensorrt_onnx_and_build_commands_are_written(
    precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "--trt", "--precision", precision, "-o", tmp_path, *SIZES)
    stem = f"fsrcnn_x2_{precision}_dyn"
    assert code == 4
    assert err.count("E4") == 1
    assert f"E401 trt: tensorrt not installed; {stem}.onnx was written; pip install" in err
    command = f"python -m srblocks_export.formats.tensorrt.trt_engine {stem}.onnx --library tensorrt"
    assert f"any of them: {command}\n" in out
    common = f"trtexec --onnx={stem}.onnx --saveEngine={stem}.engine"
    common += " --minShapes=lr:1x1x8x8 --optShapes=lr:1x1x24x32 --maxShapes=lr:1x1x24x32 --noTF32"
    flag = {"fp32": "", "fp16": " --fp16"}[precision]
    lines = {"8.6": common + flag, "10": f"{common} --stronglyTyped", "11": common}
    for version, line in lines.items():
        assert f"TensorRT {version}: {line}\n" in out
    (entry,) = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]
    assert entry["artifact"]["trtexec"] == lines
    assert entry["verify"]["status"] == "pass"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{stem}.onnx", "manifest.json"]
    halves = [part.name for part in onnx.load(tmp_path / f"{stem}.onnx").graph.initializer if part.data_type == 10]
    assert bool(halves) == (precision == "fp16")
    assert runtime.load(tmp_path / f"{stem}.onnx")(torch.rand(1, 1, 9, 12)).shape == (1, 1, 18, 24)


def test_trtexec_commands_include_the_build_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--workspace", "1536MiB", "--opt-level", "5", "--timing-cache", "t.bin", "--version-compatible", "--tf32"]
    flags += ["--hardware-compat", "same-cc", "--shape", "1x1x8x8", "--verify", "off"]
    code, out, _ = run(capsys, "--trt", "--json", "-o", tmp_path, *flags)
    onnx_entry, engine_entry = json.loads(out)["artifacts"]
    assert (code, engine_entry["exit_code"], engine_entry["file"]) == (4, 4, None)
    common = "trtexec --onnx=fsrcnn_x2_fp32_1x1x8x8.onnx --saveEngine=fsrcnn_x2_fp32_1x1x8x8.engine"
    common += " --memPoolSize=workspace:1536 --builderOptimizationLevel=5 --timingCacheFile=t.bin --versionCompatible"
    common += " --hardwareCompatibilityLevel=sameComputeCapability"
    expected = {"10": f"{common} --stronglyTyped", "11": common}
    assert onnx_entry["manifest"]["artifact"]["trtexec"] == expected
    (entry,) = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]
    assert entry["artifact"]["trtexec"] == expected


def test_exit_4_without_a_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    tensorrt_standin.install(monkeypatch, "11")
    monkeypatch.setattr(formats.base, "_has_cuda", lambda: False)
    code, _, err = run(capsys, "--trt", "-o", tmp_path, "--verify", "off")
    assert code == 4
    assert "E402 trt: no usable CUDA device; fsrcnn_x2_fp32_dyn.onnx was written; build and run it on a machine" in err


def test_broken_tensorrt_installation_is_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    (tmp_path / "tensorrt.py").write_text("print('banner')\nraise Exception('libnvinfer.so.11: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    missing = FORMATS["trt"].missing()
    assert missing is not None
    assert (missing.number, missing.what) == (401, "tensorrt does not load (libnvinfer.so.11: cannot open)")
    assert capsys.readouterr().out == ""
    with pytest.raises(trt_engine.EngineError, match=r"E401 tensorrt does not load \(libnvinfer.so.11"):
        trt_engine.TENSORRT.load()


def test_check_env_lists_missing_packages(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--check-env", "--trt", "--json")
    assert code == 4
    state = json.loads(out)["formats"]["trt"]
    missing, remedy = "tensorrt not installed", 'pip install "srblocks[trt]"'
    assert state == {"ready": False, "missing": missing, "remedy": remedy, "missing_to_run": missing}
    code, out, _ = run(capsys, "--check-env", "--torch-trt")
    assert code == 4
    assert 'tensorrt, torch_tensorrt not installed: pip install "srblocks[trt]"' in " ".join(out.split())


def test_dry_run_lists_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--trt", "--dry-run", "-o", tmp_path)
    assert code == 4
    assert f"onnx: {tmp_path}/fsrcnn_x2_fp32_dyn.onnx\n" in out
    assert f"trt: {tmp_path}/fsrcnn_x2_fp32_dyn.engine (cannot be built here: tensorrt not installed)" in out
    code, out, _ = run(capsys, "--trt-rtx", "--dry-run", "-o", tmp_path)
    assert code == 4
    assert "(cannot be built here: tensorrt_rtx_bindings not installed)" in out
    code, _, err = run(capsys, "--trt-rtx", "--hardware-compat", "ampere+", "-o", tmp_path)
    assert code == 2
    assert "E200 --hardware-compat has no effect with --trt-rtx" in err
    assert list(tmp_path.iterdir()) == []


def test_loading_an_engine_requires_its_library(tmp_path: Path) -> None:
    for name, suffix, module in (("trt", ".engine", "tensorrt"), ("trt-rtx", ".rtx.engine", "tensorrt_rtx_bindings")):
        (tmp_path / f"x{suffix}").write_bytes(b"plan")
        message = rf'E401 {name} artifacts cannot run here: {module} not installed; pip install "srblocks\[{name}\]"'
        with pytest.raises(ExportError, match=message) as caught:
            runtime.load(tmp_path / f"x{suffix}")
        assert caught.value.exit_code == 4


@needs_rtx
def test_engine_without_a_gpu_is_built_and_inspected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(formats.base, "_has_cuda", lambda: False)
    code, out, err = run(capsys, "--trt-rtx", "--precision", "fp16", "-o", tmp_path, *SIZES)
    assert (code, err) == (0, "")
    assert "built, not executed" in out
    engine = tmp_path / "fsrcnn_x2_fp16_dyn.rtx.engine"
    entries = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]
    (entry,) = (each for each in entries if each["artifact"]["file"] == engine.name)
    assert entry["verify"]["status"] == "built, not executed"
    assert (entry["verify"]["cases"], entry["verify"]["problem"]) == ([], None)
    parsed, types, executed, read_back = entry["verify"]["checks"]
    assert parsed.startswith("parsed and built by TensorRT for RTX 1.")
    assert "HALF" in types
    assert executed.startswith("onnx file executed at ")
    assert "accepts the header" in read_back
    assert set(entry["artifact"]["portability"]) == {"library", "tensorrt", "os", "compute_capabilities"}
    found = Manifest.from_dict(entry).verification
    assert found is not None
    assert (found.executed, found.to_dict()) == (False, entry["verify"])
    with pytest.raises(ExportError, match=r"E402 trt-rtx artifacts cannot run here: no usable CUDA device"):
        runtime.load(engine)
    code, _, err = run(capsys, "--trt-rtx", "--precision", "fp16", "-o", tmp_path, *SIZES)
    assert code == 3
    assert "E301" in err
    check_loading(engine, tmp_path / "images", capsys, monkeypatch)
    code, out, err = run(capsys, "--check-env", "--trt-rtx")
    assert code == 0
    assert "can be built here, but not run: no usable CUDA device" in out


def check_loading(
    engine: Path, images: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check the exit codes of a command that loads an engine where torch finds a GPU."""
    images.mkdir()
    Image.new("RGB", (24, 24)).save(images / "image.png")
    command = ["--artifact", str(engine), "--data", str(images)]
    monkeypatch.setattr(formats.base, "_has_cuda", lambda: True)
    monkeypatch.setattr(runner, "current_device", lambda: torch.device("cpu"))
    with monkeypatch.context() as patch:
        tensorrt_standin.hide_driver(patch)
        assert evaluate(command) == 4
        assert "E402" in capsys.readouterr().err
    monkeypatch.setattr(trt_engine.host, "compute_capability", lambda number=0: "8.6")
    manifest, plan = engine.parent / "manifest.json", engine.read_bytes()
    text = manifest.read_text()
    damaged = b"plan" + plan[4:]
    hashes = [hashlib.sha256(content).hexdigest() for content in (plan, damaged)]
    version = host_facts(None, TENSORRT_RTX)["tensorrt"]
    cases = [
        (plan, (version, "1.0.0.1"), 8, "E801 .*: built by TensorRT 1.0.0.1, this is 1."),
        (damaged, hashes, 8, "E801 .*: not an engine of this version of the library, or damaged"),
        (damaged, ("", ""), 9, "E901 .* does not match its manifest entry"),
        (plan, (text, "{}"), 9, "E901 .*manifest.json is not a manifest of srblocks-export"),
    ]
    for content, (old, new), code, message in cases:
        engine.write_bytes(content)
        manifest.write_text(text.replace(old, new) if old else text)
        assert evaluate(command) == code, message
        assert re.search(message, capsys.readouterr().err), message
    monkeypatch.setattr(formats.base, "_has_cuda", lambda: False)


@needs_rtx
def test_engine_that_cannot_be_read_back_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(formats.base, "_has_cuda", lambda: False)
    damaged = BuiltEngine(b"plan" * 40, host_facts(None, TENSORRT_RTX) | {"compute_capabilities": ["8.6"]}, {})
    monkeypatch.setattr(tensorrt_exporter, "build_engine", lambda *args, **options: damaged)
    code, _, err = run(capsys, "--trt-rtx", "-o", tmp_path, *SIZES, "--verify", "one")
    assert code == 6
    assert "E601 trt-rtx: E801" in err
    assert "not an engine of this version of the library, or damaged" in err
    assert "fsrcnn_x2_fp32_dyn.rtx.engine.rejected" in {path.name for path in tmp_path.iterdir()}


@needs_rtx
def test_failed_build_keeps_the_onnx_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    tensorrt_standin.hide_driver(monkeypatch)
    for flag, value, code, message in (
        ("--workspace", "1MiB", 7, "E701 trt-rtx: TensorRT for RTX: .*; lower --max, or raise --workspace"),
        ("--compute-capability", "9.0", 4, r"E403 trt-rtx: TensorRT for RTX 1\S+ does not build for .* 9.0; use 7.5"),
        ("--compute-capability", "current", 4, "E402 trt-rtx: no usable CUDA driver"),
    ):
        found, _, err = run(capsys, "--trt-rtx", flag, value, "-o", tmp_path, *SIZES, "--verify", "off", "--force")
        assert found == code, value
        assert re.search(message, err), value
        assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".onnx"]


def test_exit_4_without_a_compiler(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run(capsys, "--aoti", "-o", tmp_path)
    assert code == 4
    assert "E403 aoti: no C++ compiler; install g++ or clang++" in err


def test_exit_5_unsupported_opset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--arg", "groups=1", "--arg", "blocks_per_group=1", "--arg", "width=16"]
    code, _, err = run(capsys, "rcan", *small, "--opset", "17", "-o", tmp_path)
    assert code == 5
    assert "E501 opset 17 requested, but the exporter wrote 18" in err


def test_exit_6_tolerance_exceeded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "--torchscript", "--tolerance", "0", "-o", tmp_path, "--verify", "one")
    assert code == 6
    assert "E601 torchscript: at 1x1x" in err
    assert [path.name for path in tmp_path.iterdir()] == ["fsrcnn_x2_fp32_dyn.ts.rejected"]


def test_missing_names_the_required_torch_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base.metadata, "version", lambda name: "2.7.1+cpu")
    missing = FORMATS["pt2"].missing()
    assert missing == (401, "requires torch >= 2.11, found 2.7.1+cpu", 'pip install "torch>=2.11"')
    assert FORMATS["torchscript"].missing() is None

"""Exports in half precision: verified against float32, rejected on overflow, described in the manifest."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from PIL import Image

from helpers.small_networks import narrow_arguments
from helpers.support import needs_rtx, relative_error, run, trained_alike
from srblocks import create_network, load_pretrained, optimize, save_checkpoint, to_precision
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks.registry import NetworkSpec
from srblocks_export import formats
from srblocks_export.config import MIN_PSNR, TOLERANCES, ExportConfig
from srblocks_export.errors import ExportError
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS, WriteContext
from srblocks_export.manifest import FILE, describe
from srblocks_export.plan import network_shapes, plan_export
from srblocks_export.runtime import load
from srblocks_export.verification.inputs import References
from srblocks_export.verification.process import Worker

pytestmark = pytest.mark.usefixtures("one_verifier")

PAIRS = [
    ("onnx", "fp16"),
    ("onnx", "bf16"),
    ("torchscript", "bf16"),
    ("pt2", "bf16"),
    ("torchscript", "fp16"),
    ("pt2", "fp16"),
]
"""Formats and their precisions."""


def export_and_verify(
    spec: NetworkSpec, format_name: str, precision: str, folder: Path, worker: Worker, **channels: int
) -> None:
    config = {"value_range": 1.0} if "value_range" in spec.arguments() else {}
    net = trained_alike(create_network(spec.name, scale=spec.default_scale, **spec.reduced, **channels, **config))
    request = ExportConfig(formats=(format_name,), out=folder, precision=precision)
    shapes = network_shapes(net, request)
    half = to_precision(net, precision, fp32_modules=[r".*\.0"])
    path = folder / f"artifact{FORMATS[format_name].suffix}"
    FORMATS[format_name].write(half, path, WriteContext(shapes, describe(net, shapes).to_dict(), request))
    result = worker.verify(path, References(net, shapes, folder), *request.bounds)
    assert result.problem is None, (format_name, precision)


@pytest.mark.parametrize(
    "name,format_name,precision",
    [
        ("lapsrn", "onnx", "fp16"),
        ("lapsrn", "onnx", "bf16"),
        ("dsrn", "torchscript", "bf16"),
        ("dsrn", "pt2", "bf16"),
    ],
)
def test_artifact_is_close_to_the_float32_network(
    name: str, format_name: str, precision: str, tmp_path: Path, worker: Worker
) -> None:
    spec = network_spec(name)
    export_and_verify(spec, format_name, precision, tmp_path, worker, **narrow_arguments(spec))


@pytest.mark.slow
def test_artifact_is_close_in_every_format_and_precision(spec: NetworkSpec, tmp_path: Path, worker: Worker) -> None:
    for format_name, precision in PAIRS:
        export_and_verify(spec, format_name, precision, tmp_path, worker)


@needs_rtx
def test_bf16_engine_has_no_transposed_convolution(tmp_path: Path) -> None:
    net = trained_alike(create_network("dbpn_ss", scale=2, stages=2, width=16, head_width=16, value_range=1.0))
    config = ExportConfig(formats=("trt-rtx",), out=tmp_path, precision="bf16", maximum=(1, 3, 24, 32), verify="one")
    source, engine = export_network(net, config)
    assert (source.error, engine.error) == (None, None)
    assert source.path is not None
    assert engine.manifest is not None
    graph = onnx.load(source.path).graph
    assert "ConvTranspose" not in {node.op_type for node in graph.node}
    assert {part.data_type for part in graph.initializer if part.name.startswith("net.")} == {TensorProto.BFLOAT16}
    assert "BF16" in " ".join(engine.verification.checks if engine.verification else ())
    assert engine.manifest.artifact is not None
    assert engine.manifest.artifact.portability["compute_capabilities"][0] == "8.0"
    (warning,) = engine.manifest.warnings
    assert warning.startswith("warning: trt-rtx: not for compute capability 7.5: ")
    # Emulation stores bf16 values and computes in float32, as torch does.
    lr = torch.rand(1, 3, 12, 17)
    converted = to_precision(optimize(net, always=("transposed_convolution",)), "bf16")
    with torch.no_grad():
        assert relative_error(load(source.path)(lr), converted(lr)) < 0.05
        assert 0 < relative_error(load(source.path)(lr), net(lr)) < 0.25


def test_bf16_file_is_rounded_as_torch_rounds(tmp_path: Path) -> None:
    net = load_pretrained("fsrcnn", scale=2)
    config = ExportConfig(formats=("onnx",), out=tmp_path, precision="bf16", verify="off")
    (report,) = export_network(net, config)
    assert report.path is not None
    lr = torch.rand(1, 1, 12, 17)
    with torch.no_grad():
        by_torch, exact = to_precision(optimize(net), "bf16")(lr), net(lr)
    emulated = load(report.path)(lr)
    # Without rounding between the nodes the two would differ by as much as the precisions do.
    assert (emulated - by_torch).square().mean() < (exact - by_torch).square().mean() / 10


def overflowing() -> Network:
    """Return a network whose first features overflow fp16, but whose output does not."""
    net = load_pretrained("fsrcnn", scale=2)
    with torch.no_grad():
        net.get_parameter("head.0.weight").mul_(1e6)
        net.get_parameter("head.0.bias").mul_(1e6)
        net.get_parameter("body.0.weight").mul_(1e-6)
    return net


def test_fp16_export_keeps_some_modules_in_fp32(tmp_path: Path) -> None:
    modules = ("head", r"body\.0")
    request = ExportConfig(formats=("onnx", "torchscript", "pt2"), out=tmp_path, precision="fp16", fp32_modules=modules)
    reports = export_network(load_pretrained("fsrcnn", scale=2), request)
    assert [str(report.error) for report in reports if report.error] == []
    for entry in json.loads((tmp_path / FILE).read_text())["artifacts"]:
        largest = entry["precision"].pop("max_abs_activation")
        assert 1 < largest < 10
        expected = {"compute": "float16", "io": "float32", "fp32_modules": [*modules], "tf32": False}
        assert entry["precision"] == expected
        assert entry["io"]["input"]["dtype"] == entry["io"]["outputs"][0]["dtype"] == "float32"
        assert entry["verify"]["psnr_db"] > MIN_PSNR["fp16"]
        artifact = load(tmp_path / entry["artifact"]["file"])
        assert artifact.path.name.startswith("fsrcnn_x2_fp16_dyn")
        assert artifact.manifest.precision.compute == "float16"
        assert artifact(np.zeros((1, 1, 5, 6), np.float32)).dtype == np.float32
    graph = onnx.load(tmp_path / "fsrcnn_x2_fp16_dyn.onnx").graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer if tensor.name.startswith("net.")}
    single = {name for name, kind in types.items() if kind == TensorProto.FLOAT}
    assert {name for name in types if name.startswith(("net.head.", "net.body.0."))} == single != set()
    assert set(types.values()) == {TensorProto.FLOAT, TensorProto.FLOAT16}
    kinds = [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)]
    assert kinds == [TensorProto.FLOAT] * 2


def test_fp16_overflow_is_rejected_before_writing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    weights, out = tmp_path / "huge.safetensors", tmp_path / "out"
    save_checkpoint(overflowing(), weights)
    command = [weights, "--precision", "fp16", "--torchscript", "-o", out, "--min-psnr", "30"]
    code, _, err = run(capsys, *command)
    assert code == 6
    assert err.startswith("srblocks-export: E601 fp16: max |activation| ")
    assert err.endswith(" exceeds 65504; use --precision bf16\n")
    assert not out.exists()
    assert run(capsys, *command, "--dry-run")[0] == 6
    assert run(capsys, *command, "--fp32-modules", "head", "--dry-run")[0] == 6
    command[2] = "bf16"
    assert run(capsys, *command)[0] == 0


def test_values_close_to_the_fp16_maximum_are_a_warning(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    net = load_pretrained("fsrcnn", scale=2)
    with torch.no_grad():
        net.get_parameter("body.0.bias")[0] = 4e4
        net.get_parameter("body.2.weight")[:, 0] = 0
    weights = tmp_path / "large.safetensors"
    save_checkpoint(net, weights)
    flags = ["--precision", "fp16", "--torchscript", "--verify", "off"]
    code, _, err = run(capsys, weights, *flags, "-o", tmp_path / "out")
    assert code == 0
    (entry,) = json.loads((tmp_path / "out" / FILE).read_text())["artifacts"]
    (warning,) = entry["warnings"]
    assert "is close to the maximum of 65504" in warning
    assert err == f"srblocks-export: {warning}\n"
    assert run(capsys, weights, *flags, "--dry-run", "-o", tmp_path / "new")[2] == err


def test_calibration_images_are_cropped_and_converted(tmp_path: Path) -> None:
    (tmp_path / "lr").mkdir()
    pixels = np.full((200, 140, 3), (255, 0, 0), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "lr" / "red.png")

    def largest(name: str, *, path: Path = tmp_path / "lr", **config: object) -> float:
        net = create_network(name, **config).eval()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.zero_()
        request = ExportConfig(formats=("pt2",), out=tmp_path / "out", precision="bf16", calibrate=path, optimize=False)
        return plan_export(net, request).manifest.precision.max_abs_activation

    assert largest("edsr_baseline", depth=1) == 255
    assert largest("espcn", scale=2) == pytest.approx(0.32, abs=0.01)
    Image.fromarray(pixels[:20, :13]).save(tmp_path / "small.png")
    assert largest("csnln", scale=3, depth=1, path=tmp_path / "small.png") == 1


def test_invalid_calibration_images_are_rejected(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    command = ["san", "--arg", "groups=1", "--arg", "blocks_per_group=1", "--precision", "bf16", "--pt2"]
    command += ["--calibrate", str(images), "-o", str(tmp_path / "out")]
    assert "E903 --calibrate: " in run(capsys, *command)[2]
    (images / "a.png").write_bytes(b"no image")
    code, _, err = run(capsys, *command)
    assert code == 9
    assert "a.png: not a supported" in err
    Image.new("RGB", (9, 7)).save(images / "a.png")
    assert "a.png is 9x7; use images of at least 8 per side" in run(capsys, *command)[2]
    assert not (tmp_path / "out").exists()
    odd = Network(scale=1, image_channels=2)
    request = ExportConfig(formats=("pt2",), out=tmp_path, precision="bf16", calibrate=images)
    with pytest.raises(ExportError, match=r"E206 --calibrate: on_rgb: .* got other \(2 channels\); remove it"):
        plan_export(odd, request)


def test_invalid_precision_options_are_one_line_errors(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cases = [
        (["--precision", "int8"], 'E200 invalid value "int8" for --precision'),
        (["--fp32-modules", "tail"], "E200 --fp32-modules and --calibrate have no effect with --precision fp32"),
        (["--calibrate", "."], "E200 --fp32-modules and --calibrate have no effect with --precision fp32; remove them"),
        (
            ["--precision", "fp16", "--fp32-modules", "tial"],
            "E200 --fp32-modules: 'tial' does not fully match any module path; closest: tail",
        ),
        (["--precision", "fp16", "--fp32-modules", "["], "E200 --fp32-modules: invalid regular expression '['"),
        (["--min-psnr", "-1"], 'E200 invalid value "-1.0" for --min-psnr. must be a finite number >= 0'),
    ]
    for arguments, message in cases:
        code, _, err = run(capsys, *arguments, "-o", tmp_path / "out")
        assert (code, err.count("\n")) == (2, 1), arguments
        assert err.startswith(f"srblocks-export: {message}"), arguments
        assert not (tmp_path / "out").exists(), arguments


def test_all_selects_the_formats_that_support_the_precision(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats.base, "cxx_compiler", lambda: None)
    for name in ("onnx", "trt-rtx"):
        monkeypatch.setitem(FORMATS, name, replace(FORMATS[name], precisions=("fp32", "fp16")))
    code, out, _ = run(capsys, "--precision", "bf16", "--all", "--dry-run", "-o", tmp_path)
    assert code == 0
    files = [line.rpartition("/")[2] for line in out.splitlines() if f"{tmp_path}/" in line]
    assert files == ["fsrcnn_x2_bf16_dyn.ts", "fsrcnn_x2_bf16_dyn.pt2"]


def test_bounds_depend_on_precision_unless_given(tmp_path: Path) -> None:
    def request(**given: object) -> ExportConfig:
        return ExportConfig(formats=("torchscript",), out=tmp_path, precision="fp16", **given)

    assert request().bounds == (TOLERANCES["fp16"], MIN_PSNR["fp16"])
    assert request(tolerance=0.5, min_psnr=1.0).bounds == (0.5, 1.0)
    net = load_pretrained("fsrcnn", scale=2)
    (report,) = export_network(net, request(tolerance=1e-4))
    assert "of the output's standard deviation is above 1.0e-04" in str(report.error)
    (report,) = export_network(net, request(min_psnr=99.0, name="loud"))
    assert "dB is below 9" in str(report.error)
    assert report.path == tmp_path / "loud.ts.rejected"
    for bound in ({"tolerance": -1.0}, {"min_psnr": float("nan")}):
        with pytest.raises(ExportError, match="E200 invalid .*; use a finite number >= 0"):
            request(**bound)
    with pytest.raises(ExportError, match="E200 unknown precision 'half'; use fp32, fp16, bf16"):
        ExportConfig(formats=("pt2",), out=tmp_path, precision="half")

"""What is inside the files: no trace of the machine, the manifest, and the same content on repetition."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from helpers.support import FACTS, PORTABLE
from srblocks import load_pretrained
from srblocks_export import runtime
from srblocks_export.errors import ExportError, InputError
from srblocks_export.formats import FORMATS
from srblocks_export.manifest import FILE, SCHEMA, Manifest

# As a fresh process would do it: names and order must not depend on what was exported before.
EXPORT = """
import sys, pathlib
from srblocks import load_pretrained
from srblocks_export.export import export_network
from srblocks_export.config import ExportConfig
formats = ("onnx", "pt2", "torchscript")
request = ExportConfig(formats=formats, out=pathlib.Path(sys.argv[1]), verify="off")
export_network(load_pretrained("fsrcnn", scale=2), request)
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders, written by two processes with different hash seeds."""
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second-with-a-longer-name")]
    for seed, folder in enumerate(folders):
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        subprocess.run([sys.executable, "-c", EXPORT, str(folder)], check=True, env=environment, timeout=120)
    return folders


def contents(path: Path) -> dict[str, bytes]:
    """The records of an archive, or the whole of another file."""
    if not zipfile.is_zipfile(path):
        return {"": path.read_bytes()}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("format_name", PORTABLE)
def test_two_processes_write_the_same_bytes(exported: list[Path], format_name: str) -> None:
    first, second = (folder / f"fsrcnn_x2_fp32_dyn{FORMATS[format_name].suffix}" for folder in exported)
    assert contents(first) == contents(second)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("format_name", PORTABLE)
def test_nothing_inside_names_this_machine(exported: list[Path], format_name: str) -> None:
    path = exported[0] / f"fsrcnn_x2_fp32_dyn{FORMATS[format_name].suffix}"
    machine = [str(Path(torch.__file__).parent.parent), str(Path.cwd()), str(exported[0]), str(Path.home()) + "/"]
    for name, content in contents(path).items():
        for place in (*machine, "stack_trace", '.py", line', "site-packages"):
            assert place.encode() not in content, (name, place)


@pytest.mark.parametrize("format_name", PORTABLE)
def test_the_embedded_manifest_is_the_sidecar_s(exported: list[Path], format_name: str) -> None:
    file = f"fsrcnn_x2_fp32_dyn{FORMATS[format_name].suffix}"
    embedded = runtime.load(exported[0] / file).manifest.to_dict()
    sidecar = json.loads((exported[0] / FILE).read_text())
    entry = next(entry for entry in sidecar["artifacts"] if entry["artifact"]["file"] == file)
    assert sidecar["schema"] == embedded["schema"] == SCHEMA
    assert embedded == {key: entry[key] for key in ("schema", "model", "io", "precision", "rewrites")}
    assert embedded["model"]["params"] == 12_809
    assert embedded["io"]["input"]["dims"] == ["batch", 1, "height", "width"]
    assert embedded["io"]["outputs"][0]["dims"] == ["batch", 1, "2*height", "2*width"]
    assert entry["artifact"]["bytes"] == (exported[0] / file).stat().st_size


def test_a_manifest_is_read_and_written_unchanged_and_unknown_keys_are_ignored(exported: list[Path]) -> None:
    for folder in (exported[0], FACTS / "v0.1.0"):
        for entry in json.loads((folder / FILE).read_text())["artifacts"]:
            assert Manifest.from_dict(entry).to_dict() == entry
            entry["model"]["later"] = entry["later"] = 1
            assert "later" not in Manifest.from_dict(entry).to_dict()


def test_an_artifact_says_its_format_network_and_shapes(exported: list[Path]) -> None:
    artifact = runtime.load(exported[0] / "fsrcnn_x2_fp32_dyn.onnx")
    assert repr(artifact) == "Artifact(fsrcnn x2, onnx, y images 1..x1x1..x1.., device='cpu')"
    assert runtime.can_load("any.aoti.pt2")
    assert not runtime.can_load("weights.safetensors")


def test_the_folder_holds_the_artifacts_and_the_manifest_only(exported: list[Path]) -> None:
    names = {f"fsrcnn_x2_fp32_dyn{FORMATS[name].suffix}" for name in PORTABLE} | {FILE}
    assert {path.name for path in exported[0].iterdir()} == names


def test_onnx_has_readable_dimensions_and_the_asked_operator_set(exported: list[Path]) -> None:
    model = onnx.load(exported[0] / "fsrcnn_x2_fp32_dyn.onnx")
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"lr": ["batch", 1, "height", "width"], "sr": ["batch", 1, "2*height", "2*width"]}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert sum(len(node.metadata_props) for node in model.graph.node) == 0


@pytest.mark.parametrize("format_name", PORTABLE)
def test_one_callable_takes_arrays_and_tensors(exported: list[Path], format_name: str) -> None:
    artifact = runtime.load(exported[0] / f"fsrcnn_x2_fp32_dyn{FORMATS[format_name].suffix}")
    net = load_pretrained("fsrcnn", scale=2)
    lr = torch.rand(2, 1, 13, 7)
    with torch.no_grad():
        reference = net(lr)
    sr = artifact(lr)
    assert isinstance(sr, torch.Tensor)
    assert torch.allclose(sr, reference, atol=1e-5)
    array = artifact(lr.numpy().astype(np.float64))
    assert isinstance(array, np.ndarray)
    assert np.allclose(array, reference.numpy(), atol=1e-5)
    assert artifact.scale == 2


@pytest.mark.parametrize("format_name", PORTABLE)
def test_what_is_out_of_range_is_refused_with_the_range(exported: list[Path], format_name: str) -> None:
    artifact = runtime.load(exported[0] / f"fsrcnn_x2_fp32_dyn{FORMATS[format_name].suffix}")
    with pytest.raises(InputError, match=r"E202 shape 1x3x8x8: channels 3 is outside 1..1; use 1..x1x1..x1.."):
        artifact(torch.rand(1, 3, 8, 8))
    with pytest.raises(InputError, match="E202 shape 8x8 has 2 dimensions instead of 4"):
        artifact(torch.rand(8, 8))
    with pytest.raises(InputError, match=r"E204 input is torch\.uint8; pass floating-point values in"):
        artifact(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="E204 input is int64"):
        artifact(np.zeros((1, 1, 8, 8), np.int64))


@pytest.mark.parametrize("format_name", PORTABLE)
def test_truncated_and_foreign_files_are_refused(exported: list[Path], tmp_path: Path, format_name: str) -> None:
    suffix = FORMATS[format_name].suffix
    whole = (exported[0] / f"fsrcnn_x2_fp32_dyn{suffix}").read_bytes()
    for name, content in (("half", whole[: len(whole) // 2]), ("text", b"hello"), ("empty", b"")):
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes(content)
        with pytest.raises(ExportError, match=r"E901 .* cannot be loaded as .*; export it again"):
            runtime.load(path)
    with pytest.raises(ExportError, match=r"E901 no such file: .*"):
        runtime.load(tmp_path / f"absent{suffix}")


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("io"),
        lambda manifest: manifest.update(model=[]),
        lambda manifest: manifest["io"]["input"].update(min=[1, 1]),
        lambda manifest: manifest["io"]["input"].update(max=["a", 1, None, None]),
        lambda manifest: manifest["io"]["input"].update(size_multiple=0),
        lambda manifest: manifest.update(schema="another"),
        lambda manifest: manifest["model"].pop("receptive_radius"),
        lambda manifest: manifest["model"].update(receptive_radius="8"),
        lambda manifest: manifest["model"].update(receptive_radius=-5),
        lambda manifest: manifest["model"].update(receptive_radius=10**9),
        lambda manifest: manifest["model"].update(name=None),
        lambda manifest: manifest["model"].pop("config"),
        lambda manifest: manifest["io"]["input"].update(color=["y"]),
    ],
)
def test_a_tampered_manifest_is_refused(exported: list[Path], tmp_path: Path, change) -> None:
    model = onnx.load(exported[0] / "fsrcnn_x2_fp32_dyn.onnx")
    manifest = json.loads(model.metadata_props[0].value)
    change(manifest)
    model.metadata_props[0].value = json.dumps(manifest)
    onnx.save(model, tmp_path / "tampered.onnx")
    with pytest.raises(ExportError, match=r"E901 .*tampered.onnx has no valid srblocks.export/1 manifest"):
        runtime.load(tmp_path / "tampered.onnx")


@pytest.mark.parametrize("format_name", PORTABLE)
def test_any_layout_of_memory_is_taken(exported: list[Path], format_name: str) -> None:
    artifact = runtime.load(exported[0] / f"fsrcnn_x2_fp32_dyn{FORMATS[format_name].suffix}")
    lr = np.random.default_rng(0).random((2, 1, 8, 12), np.float32)
    reference = artifact(lr)
    frozen = lr.copy()
    frozen.flags.writeable = False
    for same in (np.asfortranarray(lr), lr[::-1, :, ::-1].copy()[::-1, :, ::-1], frozen):
        assert np.array_equal(artifact(same), reference)
    tensor = torch.from_numpy(lr).to(memory_format=torch.channels_last).requires_grad_()
    assert np.allclose(artifact(tensor).numpy(), reference, atol=1e-6)


def test_files_without_our_manifest_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.ts"
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), foreign)
    with pytest.raises(
        ExportError, match=r"E901 .*foreign.ts cannot be loaded as torchscript \(duplicate or compressed entries"
    ):
        runtime.load(foreign)
    with pytest.raises(ExportError, match=r"E901 .* has no known suffix; known suffixes: .ts, .onnx, .pt2"):
        runtime.load(tmp_path / "model.tflite")

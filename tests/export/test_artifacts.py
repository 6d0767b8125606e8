"""Contents of artifacts: the manifest, no traces of the machine, and the same bytes on repetition."""

import contextlib
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
from srblocks_export import export, formats, runtime
from srblocks_export.cli import main
from srblocks_export.errors import ExportError, InputError
from srblocks_export.formats import FORMATS
from srblocks_export.formats.tensorrt.trt_engine import TENSORRT_RTX
from srblocks_export.manifest import FILE, SCHEMA, Manifest
from srblocks_export.runtime import Artifact
from srblocks_export.verification.process import Worker

FILES = {name: f"fsrcnn_x2_fp32_dyn{FORMATS[name].suffix}" for name in PORTABLE}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Path:
    """A folder with the default network in every format that runs everywhere."""
    folder = tmp_path_factory.mktemp("first") / "new" / "folder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "Worker", lambda: contextlib.nullcontext(worker))
        patch.setattr(formats.base, "cxx_compiler", lambda: None)
        assert main(["--all", "-o", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def artifacts(exported: Path) -> list[Artifact]:
    return [runtime.load(exported / file) for file in FILES.values()]


def contents(path: Path) -> dict[str, bytes]:
    """Return the records of an archive, or the content of another file."""
    if not zipfile.is_zipfile(path):
        return {"": path.read_bytes()}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_all_exports_the_default_network_to_every_portable_format(exported: Path) -> None:
    engines = {"fsrcnn_x2_fp32_dyn.rtx.engine"} if TENSORRT_RTX.module else set()
    assert {path.name for path in exported.iterdir()} == {*FILES.values(), *engines, FILE}
    for entry in json.loads((exported / FILE).read_text())["artifacts"]:
        expected = "built, not executed" if entry["artifact"]["file"] in engines else "pass"
        assert entry["verify"]["status"] == expected, entry["artifact"]["file"]


def test_another_process_writes_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "srblocks_export.cli", *(f"--{name}" for name in PORTABLE), "--verify", "off"]
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    subprocess.run([*command, "-q", "-o", tmp_path], check=True, env=environment, timeout=120)
    for file in FILES.values():
        assert contents(exported / file) == contents(tmp_path / file), file
        assert (exported / file).read_bytes() == (tmp_path / file).read_bytes(), file


def test_artifacts_contain_no_traces_of_the_machine(exported: Path) -> None:
    machine = [str(Path(torch.__file__).parent.parent), str(Path.cwd()), str(exported), str(Path.home()) + "/"]
    for file in FILES.values():
        for name, content in contents(exported / file).items():
            for trace in (*machine, "stack_trace", '.py", line', "site-packages"):
                assert trace.encode() not in content, (file, name, trace)


def test_embedded_manifest_matches_the_sidecar(exported: Path, artifacts: list[Artifact]) -> None:
    sidecar = json.loads((exported / FILE).read_text())
    entries = {entry["artifact"]["file"]: entry for entry in sidecar["artifacts"]}
    for artifact in artifacts:
        file = artifact.path.name
        embedded, entry = artifact.manifest.to_dict(), entries[file]
        assert sidecar["schema"] == embedded["schema"] == SCHEMA, file
        assert embedded == {key: entry[key] for key in ("schema", "model", "io", "precision", "rewrites")}, file
        assert embedded["model"]["params"] == 12_809, file
        assert embedded["io"]["input"]["dims"] == ["batch", 1, "height", "width"], file
        assert embedded["io"]["outputs"][0]["dims"] == ["batch", 1, "2*height", "2*width"], file
        assert entry["artifact"]["bytes"] == (exported / file).stat().st_size, file


def test_manifest_round_trips_and_ignores_unknown_keys(exported: Path) -> None:
    for folder in (exported, FACTS / "v0.1.0"):
        for entry in json.loads((folder / FILE).read_text())["artifacts"]:
            assert Manifest.from_dict(entry).to_dict() == entry
            entry["model"]["later"] = entry["later"] = 1
            assert "later" not in Manifest.from_dict(entry).to_dict()


def test_artifact_has_a_readable_repr(artifacts: list[Artifact]) -> None:
    reprs = [repr(artifact) for artifact in artifacts]
    assert reprs == [f"Artifact(fsrcnn x2, {name}, y images 1..x1x1..x1.., device='cpu')" for name in PORTABLE]


def test_can_load_decides_by_suffix() -> None:
    assert runtime.can_load("any.aoti.pt2")
    assert not runtime.can_load("weights.safetensors")


def test_onnx_has_named_dimensions_and_one_operator_set(exported: Path) -> None:
    model = onnx.load(exported / FILES["onnx"])
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"lr": ["batch", 1, "height", "width"], "sr": ["batch", 1, "2*height", "2*width"]}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert sum(len(node.metadata_props) for node in model.graph.node) == 0


def test_artifact_accepts_tensors_and_arrays(artifacts: list[Artifact]) -> None:
    net = load_pretrained("fsrcnn", scale=2)
    lr = torch.rand(2, 1, 13, 7)
    with torch.no_grad():
        reference = net(lr)
    for artifact in artifacts:
        sr = artifact(lr)
        assert isinstance(sr, torch.Tensor), artifact
        assert torch.allclose(sr, reference, atol=1e-5), artifact
        array = artifact(lr.numpy().astype(np.float64))
        assert isinstance(array, np.ndarray), artifact
        assert np.allclose(array, reference.numpy(), atol=1e-5), artifact
        assert artifact.scale == 2, artifact


@pytest.mark.parametrize("format_name", PORTABLE)
def test_unsupported_input_is_rejected(artifacts: list[Artifact], format_name: str) -> None:
    artifact = artifacts[PORTABLE.index(format_name)]
    with pytest.raises(InputError, match=r"E202 shape 1x3x8x8: channels 3 is outside 1..1; use 1..x1x1..x1.."):
        artifact(torch.rand(1, 3, 8, 8))
    with pytest.raises(InputError, match="E202 shape 8x8 has 2 dimensions instead of 4"):
        artifact(torch.rand(8, 8))
    with pytest.raises(InputError, match=r"E204 input is torch\.uint8; pass floating-point values in"):
        artifact(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="E204 input is int64"):
        artifact(np.zeros((1, 1, 8, 8), np.int64))


@pytest.mark.parametrize("format_name", PORTABLE)
def test_damaged_files_are_rejected(exported: Path, tmp_path: Path, format_name: str) -> None:
    suffix = FORMATS[format_name].suffix
    content = (exported / FILES[format_name]).read_bytes()
    for name, damaged in (("half", content[: len(content) // 2]), ("text", b"hello"), ("empty", b"")):
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes(damaged)
        with pytest.raises(ExportError, match=r"E901 .* cannot be loaded as .*; export it again"):
            runtime.load(path)
    with pytest.raises(ExportError, match=r"E901 no such file: .*"):
        runtime.load(tmp_path / f"absent{suffix}")


TAMPERED = {
    "no io": lambda manifest: manifest.pop("io"),
    "model is a list": lambda manifest: manifest.update(model=[]),
    "short minimum": lambda manifest: manifest["io"]["input"].update(min=[1, 1]),
    "text in maximum": lambda manifest: manifest["io"]["input"].update(max=["a", 1, None, None]),
    "size multiple 0": lambda manifest: manifest["io"]["input"].update(size_multiple=0),
    "another schema": lambda manifest: manifest.update(schema="another"),
    "no radius": lambda manifest: manifest["model"].pop("receptive_radius"),
    "radius is text": lambda manifest: manifest["model"].update(receptive_radius="8"),
    "negative radius": lambda manifest: manifest["model"].update(receptive_radius=-5),
    "huge radius": lambda manifest: manifest["model"].update(receptive_radius=10**9),
    "no name": lambda manifest: manifest["model"].update(name=None),
    "no config": lambda manifest: manifest["model"].pop("config"),
    "color is a list": lambda manifest: manifest["io"]["input"].update(color=["y"]),
}


def test_tampered_manifests_are_rejected(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported / FILES["onnx"])
    original = model.metadata_props[0].value
    for name, change in TAMPERED.items():
        manifest = json.loads(original)
        change(manifest)
        model.metadata_props[0].value = json.dumps(manifest)
        onnx.save(model, tmp_path / "tampered.onnx")
        with pytest.raises(ExportError) as caught:
            runtime.load(tmp_path / "tampered.onnx")
        assert str(caught.value).startswith("E901 "), name
        assert "tampered.onnx has no valid srblocks.export/1 manifest" in str(caught.value), name


def test_artifact_accepts_any_memory_layout(artifacts: list[Artifact]) -> None:
    lr = np.random.default_rng(0).random((2, 1, 8, 12), np.float32)
    frozen = lr.copy()
    frozen.flags.writeable = False
    tensor = torch.from_numpy(lr).to(memory_format=torch.channels_last).requires_grad_()
    for artifact in artifacts:
        reference = artifact(lr)
        for same in (np.asfortranarray(lr), lr[::-1, :, ::-1].copy()[::-1, :, ::-1], frozen):
            assert np.array_equal(artifact(same), reference), artifact
        assert np.allclose(artifact(tensor).numpy(), reference, atol=1e-6), artifact


def test_files_without_a_manifest_are_rejected(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.ts"
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), foreign)
    with pytest.raises(
        ExportError, match=r"E901 .*foreign.ts cannot be loaded as torchscript \(duplicate or compressed entries"
    ):
        runtime.load(foreign)
    with pytest.raises(ExportError, match=r"E901 .* has no known suffix; known suffixes: .ts, .onnx, .pt2"):
        runtime.load(tmp_path / "model.tflite")

"""The manifest: what an artifact says of itself, inside the file and in manifest.json beside it."""

import contextlib
import hashlib
import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ExportError
from .formats.tensorrt.trt_engine.locking import locked
from .shapes import AXES

if TYPE_CHECKING:
    from srblocks.network import Network

    from .shapes import Shapes

SCHEMA = "srblocks.export/1"
FILE = "manifest.json"


def describe(net: "Network", shapes: "Shapes") -> dict[str, Any]:
    """Give the part of the manifest that is embedded in every artifact: nothing in it names this machine."""
    from srblocks.color import OnLuma, OnYCbCr
    from srblocks.networks import network_name, network_spec
    from srblocks.tiling import receptive_radius

    inner = net.net if isinstance(net, (OnLuma, OnYCbCr)) else net
    try:
        name = network_name(inner)
        framework = network_spec(name).framework
    except ValueError:  # a network of the caller's own
        name, framework = type(inner).__name__, "other"
    sides = [low if low == high else AXES[axis] for axis, (low, high) in enumerate(shapes.ranges)]
    enlarged = [side * net.scale if isinstance(side, int) else f"{net.scale}*{side}" for side in sides[2:]]
    return {
        "schema": SCHEMA,
        "model": {
            "name": name,
            "scale": net.scale,
            "config": inner.config,
            "color": inner.color,
            "params": sum(parameter.numel() for parameter in net.parameters()),
            "weights_sha256": _weights_hash(net),
            "framework": framework,
            "receptive_radius": receptive_radius(net),
        },
        "io": {
            "input": {
                "name": "lr",
                "dtype": "float32",
                "layout": "NCHW",
                "color": net.color,
                "range": [0, 1],
                "dims": sides,
            }
            | shapes.to_manifest(),
            "outputs": [{"name": "sr", "dtype": "float32", "range": [0, 1], "dims": [*sides[:2], *enlarged]}],
        },
        "precision": {
            "compute": "float32",
            "io": "float32",
            "fp32_modules": [],
            "tf32": False,
            "max_abs_activation": None,
        },
        "rewrites": [],
    }


def describe_file(path: Path, name: str) -> dict[str, Any]:
    """Give file name, size and SHA-256 of an artifact."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": name, "bytes": path.stat().st_size, "sha256": digest, "extra_files": [], "portability": {}}


def tool_versions() -> dict[str, str]:
    """Give the versions that made an artifact."""
    packages = ("srblocks", "torch", "onnx", "onnxscript", "onnxruntime", "tensorrt", "torch_tensorrt")
    found = {"python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def add_artifact(temporary: Path, path: Path, entry: dict[str, Any], *, force: bool) -> None:
    """Move a finished artifact to its name and put its entry into the folder's manifest.json, in one go.

    An older entry of the same file goes first, so that none ever describes another file than the one that is there.
    Other exports to the folder wait.

    Raises:
        ExportError: E301, the name was taken meanwhile and `force` is off; E303, manifest.json is unreadable.
    """
    from srblocks._utils.files import publish

    with locked(path.parent):
        before = read_entries(path.parent)
        entries = [old for old in before if old["artifact"]["file"] != path.name]
        if path.exists() and not force:
            raise ExportError(301, f"{path} exists", "use --force to overwrite it, or another folder with -o")
        if len(entries) < len(before):
            _write_entries(path.parent, entries)
        publish(temporary, path)
        _write_entries(path.parent, [*entries, entry])


def _write_entries(folder: Path, entries: Sequence[dict[str, Any]]) -> None:
    from srblocks._utils.files import atomic_path

    content = {"schema": SCHEMA, "artifacts": sorted(entries, key=lambda item: item["artifact"]["file"])}
    with atomic_path(folder / FILE) as manifest:
        manifest.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_entries(folder: Path) -> list[dict[str, Any]]:
    """Give the entries of the folder's manifest.json; none where there is no such file.

    Raises:
        ExportError: E303, the file is no manifest; it is left as it is.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text())
        if content["schema"] == SCHEMA and all(
            isinstance(item["artifact"]["file"], str) for item in content["artifacts"]
        ):
            return content["artifacts"]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ExportError(303, f"{path} is no {SCHEMA} manifest", "move it away, or use another folder with -o")


def _weights_hash(net: "Network") -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

"""The manifest: what an artifact says of itself, inside the file and in manifest.json beside it."""

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Generator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srblocks.network import Network

    from .shapes import Shapes

SCHEMA = "srblocks.export/1"
FILE = "manifest.json"


def describe(net: "Network", shapes: "Shapes") -> dict[str, Any]:
    """Give the part of the manifest that is embedded in every artifact: nothing in it names this machine."""
    from srblocks.registry import network_name, network_spec

    try:
        name = network_name(net)
        framework, color = network_spec(name).framework, network_spec(name).color
    except ValueError:  # a network of the caller's own
        name, framework = type(net).__name__, "other"
        color = {1: "y", 3: "rgb"}.get(net.image_channels, "other")
    if net.image_channels == 1:
        color = "y"
    sides: list[int | str] = list(shapes.minimum) if shapes.static else ["batch", net.image_channels, "height", "width"]
    enlarged = [side * net.scale if isinstance(side, int) else f"{net.scale}*{side}" for side in sides[2:]]
    return {
        "schema": SCHEMA,
        "model": {
            "name": name,
            "scale": net.scale,
            "config": net.config,
            "params": sum(parameter.numel() for parameter in net.parameters()),
            "weights_sha256": _weights_hash(net),
            "framework": framework,
        },
        "io": {
            "input": {
                "name": "lr",
                "dtype": "float32",
                "layout": "NCHW",
                "color": color,
                "range": [0, 1],
                "dims": sides,
            }
            | shapes.to_manifest(),
            "outputs": [{"name": "sr", "dtype": "float32", "range": [0, 1], "dims": [*sides[:2], *enlarged]}],
        },
        "precision": {"compute": "float32", "io": "float32"},
        "rewrites": [],
    }


def describe_file(path: Path, name: str) -> dict[str, Any]:
    """Give file name, size and SHA-256 of an artifact."""
    return {"file": name, "bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def tool_versions() -> dict[str, str]:
    """Give the versions that made an artifact."""
    packages = ("srblocks", "torch", "onnx", "onnxscript", "onnxruntime")
    found = {"python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def add_entry(folder: Path, entry: dict[str, Any]) -> None:
    """Put an artifact's entry into the folder's manifest.json, in the place of an older one of the same file."""
    from srblocks.files import atomic_path

    path = folder / FILE
    with _locked(folder):
        entries = [old for old in read_entries(folder) if old["artifact"]["file"] != entry["artifact"]["file"]]
        entries = sorted([*entries, entry], key=lambda item: item["artifact"]["file"])
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps({"schema": SCHEMA, "artifacts": entries}, indent=2, sort_keys=True) + "\n")


def read_entries(folder: Path) -> list[dict[str, Any]]:
    """Give the entries of the folder's manifest.json; none where there is no readable one."""
    try:
        content = json.loads((folder / FILE).read_text())
        return [entry for entry in content["artifacts"] if isinstance(entry["artifact"]["file"], str)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _weights_hash(net: "Network") -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[None, None, None]:
    """Keep other exports to this folder out; the lock ends with the process, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows has no flock; two exports to one folder at the same time are then unprotected
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

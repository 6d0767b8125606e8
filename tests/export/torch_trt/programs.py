"""Programs that the stand-in for torch_tensorrt makes."""

from pathlib import Path
from typing import Any

from helpers.support import filled, write_artifact
from srblocks import create_network, optimize
from srblocks.network import Network
from srblocks_export.config import ExportConfig

HOST = {"tensorrt": "11.1.0.106", "compute_capability": "9.0", "os": "linux-x86_64"}


def fsrcnn() -> Network:
    return optimize(filled(create_network("fsrcnn", scale=2)))


def write(net: Network, path: Path, *, plain: Network | None = None, **options: Any) -> dict[str, Any]:
    channels = net.image_channels
    given: dict[str, Any] = {
        "minimum": (1, channels, 8, 8),
        "optimum": (2, channels, 16, 16),
        "maximum": (4, channels, 32, 40),
    }
    request = ExportConfig(formats=("torch-trt",), out=path.parent, **(given | options))
    return write_artifact(net, path, request, reference=plain)


def written(folder: Path, net: Network | None = None, **options: Any) -> Path:
    path = folder / "artifact.trt.pt2"
    write(net or fsrcnn(), path, **options)
    return path

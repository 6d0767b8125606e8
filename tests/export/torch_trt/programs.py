"""Programs compiled by the fake torch_tensorrt."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

from helpers.support import filled, write_artifact
from srblocks import create_network
from srblocks.network import Network
from srblocks_export.config import ExportConfig

HOST = {"tensorrt": "11.1.0.106", "compute_capability": "9.0", "os": "linux-x86_64"}


class Program(NamedTuple):
    path: Path
    net: Network
    details: dict[str, Any]


@functools.cache
def small_fsrcnn() -> Network:
    return filled(create_network("fsrcnn", scale=2, width=4, shrunk_width=3, depth=1))


def write_program(
    folder: Path, net: Network | None = None, *, reference: Network | None = None, **options: Any
) -> Program:
    """Compile a network (default: `small_fsrcnn`) for batches of 1 to 4 and images of 8x8 to 32x40."""
    net = net or small_fsrcnn()
    path = folder / "artifact.trt.pt2"
    sizes: dict[str, Any] = {}
    if "shape" not in options:
        channels = net.image_channels
        sizes = {"minimum": (1, channels, 8, 8), "optimum": (2, channels, 16, 16), "maximum": (4, channels, 32, 40)}
    config = ExportConfig(formats=("torch-trt",), out=folder, **(sizes | options))
    return Program(path, net, write_artifact(net, path, config, reference=reference))

"""Upscalers of exported artifacts."""

import contextlib
import os
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..checkpoints.build import build_recorded
from ..color import on_rgb
from ..network import COLORS, Network
from ..tiling import CHROMA_RADIUS, automatic_tile
from .errors import UpscaleError
from .upscaler import Image, Upscaler, runner


class _Runtime(Protocol):
    """A module of the entry-point group ``srblocks.artifacts``."""

    def can_load(self, path: str | os.PathLike[str]) -> bool:
        """Return whether the suffix of a file is that of an artifact."""
        ...

    def load(self, path: str | os.PathLike[str]) -> Any:
        """Load an artifact."""
        ...


def runtime_of(path: str | os.PathLike[str]) -> _Runtime | None:
    """Return the installed package that loads an artifact, or None."""
    for entry in entry_points(group="srblocks.artifacts"):
        with contextlib.suppress(ImportError):
            runtime: _Runtime = entry.load()
            if runtime.can_load(path):
                return runtime
    return None


class _AsNetwork(Network):
    """A function on images as a network without weights."""

    def __init__(self, run: Callable[[Tensor], Tensor], scale: int, color: str, min_size: int, multiple: int) -> None:
        channels = COLORS[color]
        super().__init__(scale=scale, image_channels=channels, min_size=min_size, size_multiple=multiple, color=color)
        self.run = run

    def forward(self, lr: Tensor) -> Tensor:
        return self.run(lr)


def from_artifact(path: str | os.PathLike[str], *, color: str | None = None) -> Upscaler:
    """Return the upscaler of an exported artifact.

    Args:
        path: the file.
        color: "rgb" adds color conversions to artifacts on luma; None keeps them on luma.

    Raises:
        SRBlocksError: not an artifact, or it cannot run here.
        UpscaleError: the artifact works on an unknown color space.
    """
    runtime = runtime_of(path)
    if runtime is None:
        raise UpscaleError(f"no installed package loads {path}", "pass a file of srblocks-export", exit_code=9)
    artifact = runtime.load(path)
    own = artifact.manifest.input.color
    if own not in COLORS:
        raise UpscaleError(f"{path} works on unknown color space {own!r}", "export it with --color rgb")
    count, _, *least = artifact.shapes.minimum
    _, _, *most = artifact.shapes.maximum

    def run_one(images: Any) -> Any:
        return artifact(images[[0] * count])[:1] if count > 1 else artifact(images)

    run: Callable[[NDArray[np.float32]], Image] = run_one
    radius, twin = artifact.receptive_radius, _exported_network(artifact.manifest.model)
    if own != (color or ("y" if own == "y" else "rgb")):
        whole = on_rgb(_AsNetwork(run_one, artifact.scale, own, min(least), artifact.shapes.multiple))
        run, twin = runner(whole, "cpu"), twin and on_rgb(twin)
        radius = None if radius is None else max(radius, CHROMA_RADIUS)
        own, least = whole.color, [max(side, whole.min_size) for side in least]
    return Upscaler(
        Path(path).name,
        run,
        artifact.scale,
        own,
        (least[0], least[1]),
        artifact.shapes.multiple,
        (most[0], most[1]),
        radius,
        automatic_tile(twin, radius),
    )


def _exported_network(model: Any) -> Network | None:
    """Return the network of an artifact on the meta device; None if it is not registered here."""
    try:
        return build_recorded(model.name, model.config)
    except Exception:  # an unknown network, or arguments that build none
        return None

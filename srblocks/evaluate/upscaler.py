"""What an evaluation enlarges with: a network or an exported artifact, on arrays of height x width x channels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..color import on_rgb
from ..network import Network

Image = NDArray[Any]


class EvaluationError(Exception):
    """What keeps an evaluation from running.

    Args:
        code: exit code of the command.
        message: what was given, and what to do.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Upscaler:
    """Something that enlarges images, and what the protocol must know of it.

    Attributes:
        name: for the report.
        run: images (1, C, H, W), float32 in [0, 1], `scale` times larger.
        scale: enlargement per side.
        color: what the channels are, "y" or "rgb".
        min_size: the smallest H and the smallest W.
        size_multiple: H and W are multiples of it.
    """

    name: str
    run: Callable[[NDArray[np.float32]], Image]
    scale: int
    color: str
    min_size: tuple[int, int] = (1, 1)
    size_multiple: int = 1

    def __call__(self, low: Image) -> Image:
        """Enlarge one image of height x width x channels in [0, 1]; the result is clipped to [0, 1].

        What a size lacks is mirrored at the bottom and at the right, and cropped again.
        """
        height, width = low.shape[:2]
        short = [self._short(side, least) for side, least in zip(low.shape, self.min_size, strict=False)]
        padded = np.pad(low, [(0, short[0]), (0, short[1]), (0, 0)], mode="symmetric")
        batch = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32)
        high = np.asarray(self.run(batch))[0].transpose(1, 2, 0)
        return np.clip(high[: height * self.scale, : width * self.scale].astype(np.float64), 0, 1)

    def _short(self, side: int, least: int) -> int:
        """Give what a side lacks to be one that the network takes."""
        taken = max(least, side)
        return taken + -taken % self.size_multiple - side


def of_network(net: Network, name: str, *, device: str = "cpu") -> Upscaler:
    """Give the upscaler of a network, which is moved to the device in float32 and put into eval mode.

    One on luma stays so; one on another colour works on RGB images, see `srblocks.on_rgb`.
    """
    net = (net if net.color == "y" else on_rgb(net)).to(device).float().eval()

    def run(batch: NDArray[np.float32]) -> Image:
        with torch.inference_mode():
            return net(torch.from_numpy(batch).to(device)).cpu().numpy()

    return Upscaler(name, run, net.scale, net.color, (net.min_size, net.min_size), net.size_multiple)


def of_artifact(path: Path) -> Upscaler:
    """Give the upscaler of a file that srblocks-export wrote.

    Raises:
        EvaluationError: the file is no artifact, cannot run here, or works on another colour than luma or RGB.
    """
    from srblocks_export import errors, runtime  # noqa: PLC0415 (the exporter is above this package)

    try:
        artifact = runtime.load(path)
    except errors.ExportError as error:
        raise EvaluationError(error.exit_code, str(error)) from error
    color = artifact.manifest["io"]["input"]["color"]
    if color not in ("y", "rgb"):
        raise EvaluationError(2, f"{path} works on {color}; export it with --color rgb")
    _, _, height, width = artifact.shapes.minimum
    return Upscaler(path.name, artifact, artifact.scale, color, (height, width), artifact.shapes.multiple)

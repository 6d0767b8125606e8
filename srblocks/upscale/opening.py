"""Opening what enlarges: networks, weights files and exported artifacts."""

import contextlib
import os
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checkpoints import CheckpointError, UnseenArgumentError, WrongScaleError, load_checkpoint
from ..color import on_rgb
from ..network import COLORS, Network
from ..pretrained import DEFAULT_NETWORK, list_pretrained, load_pretrained
from ..registry import network_name, network_spec
from ..rewrites import optimize
from ..tiling import CHROMA_RADIUS, automatic_tile, receptive_radius
from .upscaler import Image, UpscaleError, Upscaler


class _Running(Network):
    """A network made of something that runs one; it has no weights here."""

    def __init__(self, run: Callable[[Tensor], Tensor], scale: int, color: str, min_size: int, multiple: int) -> None:
        channels = COLORS[color]
        super().__init__(scale=scale, image_channels=channels, min_size=min_size, size_multiple=multiple, color=color)
        self.run = run

    def forward(self, lr: Tensor) -> Tensor:
        return self.run(lr)


def of_network(net: Network, name: str, *, device: str = "cpu") -> Upscaler:
    """Give the upscaler of a network, which is moved to the device in float32 and put into eval mode.

    One on luma stays so; one on another colour works on RGB images, see `srblocks.on_rgb`.
    """
    net = (net if net.color == "y" else on_rgb(net)).to(device).float().eval()
    radius = receptive_radius(net)
    return Upscaler(
        name,
        _runner(net, device),
        net.scale,
        net.color,
        (net.min_size, net.min_size),
        net.size_multiple,
        radius=radius,
        tile=automatic_tile(net, radius),
    )


def _runner(net: Network, device: str) -> Callable[[NDArray[np.float32]], Image]:
    def run(batch: NDArray[np.float32]) -> Image:
        with torch.inference_mode():
            return net(torch.from_numpy(batch).to(device)).cpu().numpy()

    return run


def of_artifact(path: Path, *, color: str | None = None) -> Upscaler:
    """Give the upscaler of a file that srblocks-export wrote.

    Args:
        path: the file.
        color: "rgb" for RGB images whatever the artifact works on; None for luma where it does so.

    Raises:
        UpscaleError: the file is no artifact, cannot run here, or works on an unknown colour.
    """
    from srblocks_export import errors, runtime  # noqa: PLC0415 (the exporter is above this package)

    try:
        artifact = runtime.load(path)
    except errors.ExportError as error:
        raise UpscaleError(error.exit_code, str(error)) from error
    own = artifact.manifest["io"]["input"]["color"]
    if own not in COLORS:
        raise UpscaleError(2, f"{path} works on {own}; export it with --color rgb")
    count, _, *least = artifact.shapes.minimum
    _, _, *most = artifact.shapes.maximum

    def own_run(images: Any) -> Any:
        return artifact(images[[0] * count])[:1] if count > 1 else artifact(images)

    run: Callable[[NDArray[np.float32]], Image] = own_run
    radius, twin = artifact.receptive_radius, _twin(artifact.manifest)
    if own != (color or ("y" if own == "y" else "rgb")):
        whole = on_rgb(_Running(own_run, artifact.scale, own, min(least), artifact.shapes.multiple))
        run, twin = _runner(whole, "cpu"), twin and on_rgb(twin)
        radius = None if radius is None else max(radius, CHROMA_RADIUS)
        own, least = whole.color, [max(side, whole.min_size) for side in least]
    return Upscaler(
        path.name,
        run,
        artifact.scale,
        own,
        (least[0], least[1]),
        artifact.shapes.multiple,
        (most[0], most[1]),
        radius,
        automatic_tile(twin, radius),
    )


def _twin(manifest: Mapping[str, Any]) -> Network | None:
    """Give the network that an artifact was made of, without weights; None for one that is not registered here."""
    model = manifest["model"]
    try:
        with torch.device("meta"):
            return network_spec(model["name"]).create(**model["config"])
    except (ValueError, TypeError, RuntimeError):  # or one whose arguments build none
        return None


def open_upscaler(
    model: str | os.PathLike[str],
    *,
    scale: int | None = None,
    color: str = "rgb",
    device: str = "cpu",
    arguments: Mapping[str, object] | None = None,
) -> Upscaler:
    """Open what enlarges: an artifact, a weights file, or a registry name with bundled weights.

    Networks are optimised (`srblocks.optimize`).

    Args:
        model: a file of srblocks-export; weights as `srblocks.load_checkpoint` takes them; a name as in
            `srblocks.list_networks` or, with the scale, `srblocks.list_pretrained`.
        scale: enlargement per side; None for the only one of the file, or the smallest that is bundled.
        color: "rgb": takes RGB images, whatever the network works on; "y" takes luma alone.
        device: torch device of a network; artifacts bring their own.
        arguments: of the constructor, which a weights file does not show.

    Raises:
        UpscaleError: it cannot be opened here, or is of another scale or colour.

    Example:
        >>> open_upscaler("fsrcnn", scale=2).enlarge(np.zeros((30, 40, 3), np.uint8)).shape
        (60, 80, 3)
    """
    if color not in ("rgb", "y"):
        raise UpscaleError(2, f"color={color!r} is unknown; use rgb or y")
    from srblocks_export.formats import format_of  # noqa: PLC0415 (the exporter is above this package)

    path = Path(model)
    if arguments and not (path.is_file() and format_of(path) is None):
        raise UpscaleError(2, f"{model} shows its arguments; leave out {', '.join(arguments)}")
    if format_of(path):
        if device != "cpu":
            raise UpscaleError(2, f"{model} runs on the device that it was exported for; leave out {device}")
        upscaler = of_artifact(path, color="rgb" if color == "rgb" else None)
    else:
        net = _opened(path, scale, device, arguments or {})
        name = f"{network_name(net)} ({path.name if path.is_file() else 'bundled weights'})"
        upscaler = of_network(optimize(on_rgb(net) if color == "rgb" else net), name, device=device)
    if scale not in (None, upscaler.scale):
        raise UpscaleError(2, f"{model} enlarges x{upscaler.scale}, not x{scale}; leave out the scale")
    if upscaler.color != color:
        raise UpscaleError(2, f"{model} works on {upscaler.color}, not on {color}")
    return upscaler


def _opened(path: Path, scale: int | None, device: str, arguments: Mapping[str, Any]) -> Network:
    with opening(device):
        if path.is_file():
            net = load_checkpoint(path, scale=scale, **arguments)
            if scale is None and net.scale == 1:
                raise UpscaleError(2, f"{path}: {network_name(net)} enlarges first, by any scale; give the scale")
            return net
        name = str(path)
        bundled = [stem for stem in list_pretrained() if name == stem or stem.rpartition("_x")[0] == name]
        if not bundled:
            if path.is_dir():
                raise UpscaleError(2, f"{path} is a folder; give a file, or a name such as {DEFAULT_NETWORK}")
            network_spec(name)  # says which names are alike
            raise UpscaleError(2, f"no weights of {name} are bundled, only {', '.join(list_pretrained())}; give a file")
        stem, _, smallest = bundled[0].rpartition("_x")
        return load_pretrained(stem, scale=scale if scale and name == stem else int(smallest))


@contextlib.contextmanager
def opening(device: str) -> Generator[None]:
    """Turn what keeps a network from being loaded on a device into a command's errors.

    Raises:
        UpscaleError: instead of what the block raises.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UpscaleError(4, f"--device {device} is not available here; use cpu") from error
    try:
        yield
    except (UnseenArgumentError, WrongScaleError) as error:
        raise UpscaleError(2, f"{error}; see --scale and --arg") from error
    except (CheckpointError, OSError) as error:
        raise UpscaleError(9, str(error)) from error
    except (ValueError, TypeError) as error:
        raise UpscaleError(2, str(error)) from error

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

from ..checkpoints import CheckpointError, MissingArgumentError, WrongScaleError, load_checkpoint
from ..checkpoints.build import build_recorded
from ..color import on_rgb
from ..factory import load_pretrained
from ..network import COLORS, Network
from ..networks import network_name, network_spec
from ..pretrained import DEFAULT_NETWORK, list_pretrained
from ..rewrites import optimize
from ..tiling import CHROMA_RADIUS, automatic_tile, receptive_radius
from .errors import UpscaleError, ending
from .upscaler import Image, Upscaler


class _Running(Network):
    """A network made of something that runs one; it has no weights here."""

    def __init__(self, run: Callable[[Tensor], Tensor], scale: int, color: str, min_size: int, multiple: int) -> None:
        channels = COLORS[color]
        super().__init__(scale=scale, image_channels=channels, min_size=min_size, size_multiple=multiple, color=color)
        self.run = run

    def forward(self, lr: Tensor) -> Tensor:
        return self.run(lr)


def from_network(net: Network, name: str, *, device: str = "cpu") -> Upscaler:
    """Give the upscaler of a network, which is moved to the device in float32 and put into eval mode.

    One on luma stays so; one on another color works on RGB images, see `srblocks.on_rgb`.
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


def from_artifact(path: Path, *, color: str | None = None) -> Upscaler:
    """Give the upscaler of a file that srblocks-export wrote.

    Args:
        path: the file.
        color: "rgb" for RGB images whatever the artifact works on; None for luma where it does so.

    Raises:
        UpscaleError: the file is no artifact, cannot run here, or works on an unknown color.
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
        return build_recorded(model["name"], model["config"])
    except Exception:  # or one whose arguments build none, whatever they are
        return None


def open_upscaler(
    model: str | os.PathLike[str],
    *,
    scale: int | None = None,
    color: str = "rgb",
    device: str = "cpu",
    network: str | None = None,
    arguments: Mapping[str, object] | None = None,
) -> Upscaler:
    """Open what enlarges: an artifact, a weights file, or a registry name with bundled weights.

    Networks are optimized (`srblocks.optimize`).

    Args:
        model: a file of srblocks-export; weights as `srblocks.load_checkpoint` takes them; a name as in
            `srblocks.list_networks` or, with the scale, `srblocks.list_pretrained`.
        scale: enlargement per side; None for the file's own, or the smallest that is bundled.
        color: "rgb": takes RGB images, whatever the network works on; "y" takes luma alone.
        device: torch device of a network; artifacts bring their own.
        network: registry name of weights whose file does not show it.
        arguments: of the constructor, which a weights file does not show.

    Raises:
        UpscaleError: it cannot be opened here, or is of another scale or color.

    Example:
        >>> open_upscaler("fsrcnn", scale=2).enlarge(np.zeros((30, 40, 3), np.uint8)).shape
        (60, 80, 3)
    """
    if color not in ("rgb", "y"):
        raise UpscaleError(2, f"color={color!r} is unknown; use rgb or y")
    from srblocks_export.formats import format_of  # noqa: PLC0415 (the exporter is above this package)

    path = Path(model)
    given = [*([network] if network else []), *(arguments or ())]
    if given and (format_of(path) or not path.is_file()):
        raise UpscaleError(2, f"{model} shows its network and arguments; leave out {', '.join(given)}")
    if format_of(path):
        if device != "cpu":
            raise UpscaleError(2, f"{model} runs on the device that it was exported for; leave out {device}")
        upscaler = from_artifact(path, color="rgb" if color == "rgb" else None)
    else:
        with opening(device):
            if path.is_file():
                net = weights_of(path, network=network, scale=scale, arguments=arguments or {})
            elif path.is_dir():
                raise UpscaleError(2, f"{path} is a folder; give a file, or a name such as {DEFAULT_NETWORK}")
            else:
                net = bundled_network(str(path), scale=scale)
        name = f"{network_name(net)} ({path.name if path.is_file() else 'bundled weights'})"
        upscaler = from_network(optimize(on_rgb(net) if color == "rgb" else net), name, device=device)
    if scale not in (None, upscaler.scale):
        raise UpscaleError(2, f"{model} enlarges x{upscaler.scale}, not x{scale}; leave out the scale")
    if upscaler.color != color:
        raise UpscaleError(2, f"{model} works on {upscaler.color}, not on {color}")
    return upscaler


def weights_of(path: Path, *, network: str | None, scale: int | None, arguments: Mapping[str, Any]) -> Network:
    """Load a weights file as `srblocks.load_checkpoint` does.

    Raises:
        UpscaleError: code 2, nobody says the scale of a network that enlarges first.
    """
    net = load_checkpoint(path, network=network, scale=scale, **arguments)
    if scale is None and net.scale == 1:
        raise UpscaleError(2, f"{path}: {network_name(net)} enlarges first, by any scale; give the scale")
    return net


def bundled_network(name: str, *, scale: int | None) -> Network:
    """Load bundled weights by the name of their network, or by that and the scale such as "fsrcnn_x2".

    Args:
        name: of the network or of the weights.
        scale: enlargement per side; None for that of the name, or the smallest that is bundled.

    Raises:
        UpscaleError: code 2, there are none, or the name says another scale.
        UnknownNetworkError: nor is there a network of that name.
    """
    stems = list_pretrained()
    bundled = [stem for stem in stems if name == stem or stem.rpartition("_x")[0] == name]
    if not bundled:
        network_spec(name)  # says which names are alike
        raise UpscaleError(
            2, f"no weights are bundled for {name}; bundled are {', '.join(stems)}; give a file of weights"
        )
    stem, _, smallest = bundled[0].rpartition("_x")
    if name != stem and scale not in (None, int(smallest)):
        raise UpscaleError(2, f"{name} enlarges x{smallest}, not x{scale}; leave out the scale")
    return load_pretrained(stem, scale=int(smallest) if scale is None else scale)


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
    except (MissingArgumentError, WrongScaleError) as error:
        raise UpscaleError(2, f"{error}; see --scale and --arg") from error
    except CheckpointError as error:
        raise UpscaleError(9, str(error)) from error
    except OSError as error:
        raise ending(error) from error
    except (ValueError, TypeError) as error:
        raise UpscaleError(2, str(error)) from error

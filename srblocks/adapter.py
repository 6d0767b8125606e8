"""Modules of other packages as networks, for the rewrites, tiling and exports of this one."""

import torch
from torch import Tensor, nn

from ._utils.rounding import round_up
from .blocks import normalization
from .errors import ArgumentError
from .network import Network

_TRIAL_SIZE = 16
"""Sides of the image that checks what is stated about a module, rounded up to a valid size."""


class AdaptedNetwork(Network):
    """A module as a network; see `as_network`.

    Args:
        module: the module.
        scale: see `as_network`.
        image_channels: see `as_network`.
        color: see `as_network`.
        value_range: see `as_network`.
        min_size: see `as_network`.
        size_multiple: see `as_network`.
        name: see `as_network`.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1].
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        scale: int,
        image_channels: int = 3,
        color: str | None = None,
        value_range: float = 1.0,
        min_size: int = 1,
        size_multiple: int = 1,
        name: str | None = None,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=round_up(min_size, size_multiple),
            size_multiple=size_multiple,
            normalize=normalize,
            denormalize=denormalize,
            color=color,
        )
        self.module = module
        self.name = name or type(module).__name__

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the images ``lr``."""
        return self.denormalise(self.module(self.normalise(lr)))

    def sequential_slots(self) -> list[list[str]]:
        """Return the slots that ``forward`` runs in sequence."""
        return [["normalise", "module", "denormalise"]]


def as_network(
    module: nn.Module,
    *,
    scale: int,
    image_channels: int = 3,
    color: str | None = None,
    value_range: float = 1.0,
    min_size: int = 1,
    size_multiple: int = 1,
    name: str | None = None,
) -> Network:
    """Return a network that runs an image-to-image module of any kind, in eval mode.

    `srblocks.optimize`, tiling and exports then treat it like every network. What you state is checked on a small
    image.

    Args:
        module: maps images (N, `image_channels`, H, W) to images (N, `image_channels`, `scale` * H, `scale` * W). It is
            used, not copied.
        scale: scale factor; 1 for restoration.
        image_channels: channels of the images.
        color: color space of the images, see `srblocks.Network`; None for that of the number of channels.
        value_range: value of white at the input and output of the module (1 or 255).
        min_size: minimum H and W.
        size_multiple: H and W must be multiples of it.
        name: name in reports and file names; None for the class name.

    Raises:
        ArgumentError: the module fails on an image of a valid size, or returns another shape.
        ValueError: an argument is out of range.
        TypeError: `module` is not a module.

    Examples:
        >>> net = as_network(nn.Upsample(scale_factor=2), scale=2)
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance] (of callers without types)
        raise TypeError(f"as_network: expected a torch.nn.Module, got {module!r}")
    net = AdaptedNetwork(
        module,
        scale=scale,
        image_channels=image_channels,
        color=color,
        value_range=value_range,
        min_size=min_size,
        size_multiple=size_multiple,
        name=name,
    ).eval()
    side = round_up(max(net.min_size, _TRIAL_SIZE), size_multiple)
    like = next((each for each in module.parameters() if each.is_floating_point()), torch.empty(0))
    images = torch.rand(1, image_channels, side, side + size_multiple, device=like.device, dtype=like.dtype)
    remedy = "correct scale, image_channels, min_size or size_multiple"
    try:
        with torch.inference_mode():
            output = net(images)
    except Exception as error:  # code of other packages may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ArgumentError(f"{net.name} fails on images of shape {tuple(images.shape)} ({reason})", remedy) from error
    expected = (1, image_channels, side * scale, (side + size_multiple) * scale)
    if not isinstance(output, Tensor) or tuple(output.shape) != expected:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ArgumentError(f"{net.name} returns {found} for images {tuple(images.shape)}, expected {expected}", remedy)
    return net

"""Enlarge first, then work at high resolution."""

from torch import Tensor, nn

from ..network import Network
from .sizes import least_side


class PreUpsampling(Network):
    """``lr -> upsampler -> head -> body -> tail (+ upsampled lr) -> sr``: all layers work at high resolution.

    Wang, Chen and Hoi, *Deep Learning for Image Super-resolution: A Survey*, TPAMI 2020, arXiv:1902.06068, Fig. 2.

    Args:
        scale: enlargement per side.
        image_channels: channels of the images, 1 = Y, 3 = RGB.
        upsampler: image to image, `scale` times larger; it fixes `min_size`.
        head: image to features.
        body: features to features.
        tail: features to image.
        image_skip: add the upsampled image to the output of `tail`.
        size_multiple: H and W must be multiples of it.
        normalise: first module, from [0, 1] into the network's value range; None for none.
        denormalise: last module, back to [0, 1]; None for none.
        color: what the channels are, see `Network`.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1]; any H, W from
        `min_size` on, in multiples of `size_multiple`.

    Example:
        >>> from srblocks import InterpolateUp, conv
        >>> slots = {"head": conv(1, 8), "body": conv(8, 8), "tail": conv(8, 1)}
        >>> net = PreUpsampling(scale=2, image_channels=1, upsampler=InterpolateUp(1, 2), **slots, image_skip=True)
        >>> net(torch.rand(1, 1, 5, 7)).shape
        torch.Size([1, 1, 10, 14])
    """

    def __init__(
        self,
        *,
        scale: int,
        image_channels: int,
        upsampler: nn.Module,
        head: nn.Module,
        body: nn.Module,
        tail: nn.Module,
        image_skip: bool = False,
        size_multiple: int = 1,
        normalise: nn.Module | None = None,
        denormalise: nn.Module | None = None,
        color: str | None = None,
    ) -> None:
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=least_side(upsampler, size_multiple),
            size_multiple=size_multiple,
            normalise=normalise,
            denormalise=denormalise,
            color=color,
        )
        self.upsampler = upsampler
        self.head = head
        self.body = body
        self.tail = tail
        self.image_skip = image_skip

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge the images ``lr``."""
        image = self.upsampler(self.normalise(lr))
        sr = self.tail(self.body(self.head(image)))
        if self.image_skip:
            sr = sr + image
        return self.denormalise(sr)

    def chains(self) -> list[list[str]]:
        """Give the slots that run directly behind one another."""
        ahead, layers = ["normalise", "upsampler"], ["head", "body", "tail"]
        return [ahead, layers] if self.image_skip else [[*ahead, *layers, "denormalise"]]

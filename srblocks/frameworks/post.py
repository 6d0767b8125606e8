"""Work at low resolution, enlarge last."""

from torch import Tensor, nn

from ..network import Network
from .sizes import least_side


class PostUpsampling(Network):
    """``lr -> head -> body (+ head) -> upsampler -> tail (+ enlarged lr) -> sr``: the layers work at low resolution.

    Wang, Chen and Hoi, *Deep Learning for Image Super-resolution: A Survey*, TPAMI 2020, arXiv:1902.06068, Fig. 2.

    Args:
        scale: enlargement per side.
        image_channels: channels of the images, 1 = Y, 3 = RGB.
        head: image to features.
        body: features to features.
        upsampler: features to features, `scale` times larger.
        tail: features to image.
        long_skip: add the output of `head` to the output of `body`.
        image_skip: upsampler whose image is added to the output of `tail`; None for none.
        min_size: the smallest H and W; more where `image_skip` asks for it.
        size_multiple: H and W must be multiples of it.
        normalise: first module, from [0, 1] into the network's value range; None for none.
        denormalise: last module, back to [0, 1]; None for none.
        color: what the channels are, see `Network`.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1]; any H, W from
        `min_size` on, in multiples of `size_multiple`.

    Example:
        >>> from srblocks import PixelShuffleUp, conv
        >>> slots = {"head": conv(3, 8), "body": conv(8, 8), "upsampler": PixelShuffleUp(8, 2), "tail": conv(8, 3)}
        >>> net = PostUpsampling(scale=2, image_channels=3, **slots, long_skip=True)
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    def __init__(
        self,
        *,
        scale: int,
        image_channels: int,
        head: nn.Module,
        body: nn.Module,
        upsampler: nn.Module,
        tail: nn.Module,
        long_skip: bool = False,
        image_skip: nn.Module | None = None,
        min_size: int = 1,
        size_multiple: int = 1,
        normalise: nn.Module | None = None,
        denormalise: nn.Module | None = None,
        color: str | None = None,
    ) -> None:
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=least_side(image_skip, max(min_size, size_multiple)),
            size_multiple=size_multiple,
            normalise=normalise,
            denormalise=denormalise,
            color=color,
        )
        self.head = head
        self.body = body
        self.upsampler = upsampler
        self.tail = tail
        self.long_skip = long_skip
        self.image_skip = image_skip

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge the images ``lr``."""
        image = self.normalise(lr)
        x = self.head(image)
        x = x + self.body(x) if self.long_skip else self.body(x)
        sr = self.tail(self.upsampler(x))
        if self.image_skip is not None:
            sr = sr + self.image_skip(image)
        return self.denormalise(sr)

    def chains(self) -> list[list[str]]:
        """Give the slots that run directly behind one another."""
        plain = self.image_skip is None
        first = ["normalise", "head"] if plain else ["head"]
        last = ["upsampler", "tail", "denormalise"] if plain else ["upsampler", "tail"]
        return [first, last] if self.long_skip else [[*first, "body", *last]]

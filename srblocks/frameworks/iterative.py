"""Enlarge, reduce, enlarge again: back-projection."""

from torch import Tensor, nn

from ..blocks.dense import Concatenate
from ..network import Network
from .sizes import least_side


class IterativeUpsampling(Network):
    """``lr -> head -> up (-> down -> up) ... -> tail over all enlarged features -> sr``, densely connected.

    Every unit after the first `up` sees all earlier outputs at its resolution.

    Wang, Chen and Hoi, *Deep Learning for Image Super-resolution: A Survey*, TPAMI 2020, arXiv:1902.06068, Fig. 2.

    Args:
        scale: enlargement per side.
        image_channels: channels of the images, 1 = Y, 3 = RGB.
        head: image to features.
        first: the first enlargement of the features.
        downs: reductions of the concatenated high-resolution features.
        ups: enlargements of the concatenated low-resolution features, one behind each of `downs`.
        tail: concatenation of all high-resolution features to image; with `recursions`, of the newest of each pass.
        recursions: passes through the units, which share their weights; each starts from the newest low-resolution
            features of the one before. None for a single pass whose `tail` sees all high-resolution features.
        newest_first: order of all concatenations but that of the passes, which stand oldest first.
        image_skip: upsampler whose image is added to the output of `tail`; None for none.
        normalise: first module, from [0, 1] into the network's value range; None for none.
        denormalise: last module, back to [0, 1]; None for none.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1]; any H, W from
        `min_size` on.

    Raises:
        ValueError: another number of `ups` than of `downs`.

    Example:
        >>> from srblocks import DownProjection, UpProjection, conv
        >>> units = {"first": UpProjection(8, 2), "downs": [DownProjection(8, 2)], "ups": [UpProjection(8, 2)]}
        >>> net = IterativeUpsampling(scale=2, image_channels=3, head=conv(3, 8), **units, tail=conv(16, 3))
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    def __init__(
        self,
        *,
        scale: int,
        image_channels: int,
        head: nn.Module,
        first: nn.Module,
        downs: list[nn.Module],
        ups: list[nn.Module],
        tail: nn.Module,
        recursions: int | None = None,
        newest_first: bool = True,
        image_skip: nn.Module | None = None,
        normalise: nn.Module | None = None,
        denormalise: nn.Module | None = None,
    ) -> None:
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=least_side(image_skip),
            normalise=normalise,
            denormalise=denormalise,
        )
        if len(downs) != len(ups):
            raise ValueError(f"{len(downs)} downs and {len(ups)} ups; give one of ups behind each of downs")
        self.head = head
        self.first = first
        self.downs = nn.ModuleList(downs)
        self.ups = nn.ModuleList(ups)
        self.tail = tail
        self.down_joins = nn.ModuleList(Concatenate() for _ in downs)
        self.up_joins = nn.ModuleList(Concatenate() for _ in ups)
        self.tail_join = Concatenate()
        self.recursions = recursions
        self.newest_first = newest_first
        self.image_skip = image_skip

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge the images ``lr``."""
        image = self.normalise(lr)
        x = self.head(image)
        if self.recursions is None:
            sr = self.tail(self.tail_join(self._pass(x)[0]))
        else:
            enlarged: list[Tensor] = []
            for _ in range(self.recursions):
                highs, x = self._pass(x)
                enlarged.append(highs[0] if self.newest_first else highs[-1])
            sr = self.tail(self.tail_join(enlarged))
        if self.image_skip is not None:
            sr = sr + self.image_skip(image)
        return self.denormalise(sr)

    def chains(self) -> list[list[str]]:
        """Give the slots that run directly behind one another."""
        return [["normalise", "head"], ["tail", "denormalise"]] if self.image_skip is None else []

    def _pass(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Run all units once; give all high-resolution features and the newest low-resolution ones."""
        highs = [self.first(x)]
        lows: list[Tensor] = []
        units = zip(self.down_joins, self.downs, self.up_joins, self.ups)  # noqa: B905 (torch.jit.script)
        for down_join, down, up_join, up in units:
            x = down(down_join(highs))
            if self.newest_first:
                lows = [x] + lows  # noqa: RUF005 (torch.jit.script knows no unpacking)
                highs = [up(up_join(lows))] + highs  # noqa: RUF005
            else:
                lows = lows + [x]  # noqa: RUF005
                highs = highs + [up(up_join(lows))]  # noqa: RUF005
        return highs, x

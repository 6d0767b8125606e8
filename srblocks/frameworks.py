"""The four data flows of super-resolution networks; a network fills the slots of one of them."""

from torch import Tensor, nn

from .blocks.dense import Concatenate
from .network import Network


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
        normalize: first module, from [0, 1] into the network's value range; None for none.
        denormalize: last module, back to [0, 1]; None for none.
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
        normalize: nn.Module | None = None,
        denormalize: nn.Module | None = None,
        color: str | None = None,
    ) -> None:
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=_min_side(upsampler, size_multiple),
            size_multiple=size_multiple,
            normalize=normalize,
            denormalize=denormalize,
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

    def sequential_slots(self) -> list[list[str]]:
        """Give the slots that run directly behind one another."""
        ahead, layers = ["normalise", "upsampler"], ["head", "body", "tail"]
        return [ahead, layers] if self.image_skip else [[*ahead, *layers, "denormalise"]]


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
        normalize: first module, from [0, 1] into the network's value range; None for none.
        denormalize: last module, back to [0, 1]; None for none.
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
        normalize: nn.Module | None = None,
        denormalize: nn.Module | None = None,
        color: str | None = None,
    ) -> None:
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=_min_side(image_skip, max(min_size, size_multiple)),
            size_multiple=size_multiple,
            normalize=normalize,
            denormalize=denormalize,
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

    def sequential_slots(self) -> list[list[str]]:
        """Give the slots that run directly behind one another."""
        plain = self.image_skip is None
        first = ["normalise", "head"] if plain else ["head"]
        last = ["upsampler", "tail", "denormalise"] if plain else ["upsampler", "tail"]
        return [first, last] if self.long_skip else [[*first, "body", *last]]


class ProgressiveUpsampling(Network):
    """``lr -> head -> level -> level ... -> sr``: each level enlarges the features and the image.

    Wang, Chen and Hoi, *Deep Learning for Image Super-resolution: A Survey*, TPAMI 2020, arXiv:1902.06068, Fig. 2.

    Args:
        scale: enlargement per side.
        image_channels: channels of the images, 1 = Y, 3 = RGB.
        head: image to features.
        levels: one or more modules ``(features, image) -> (features, image)``, such as `LaplacianLevel`.
        recursions: times that `levels` run one after another; above 1 the levels share their weights.
        resize: image to image behind the last level, for scales between two levels; None for none.
        normalize: first module, from [0, 1] into the network's value range; None for none.
        denormalize: last module, back to [0, 1]; None for none.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1]; any H, W from
        `min_size` on.

    Raises:
        ValueError: no level.

    Example:
        >>> from srblocks import LaplacianLevel, conv
        >>> levels = [LaplacianLevel(8, body=conv(8, 8)) for _ in range(2)]
        >>> net = ProgressiveUpsampling(scale=4, image_channels=1, head=conv(1, 8), levels=levels)
        >>> net(torch.rand(1, 1, 5, 7)).shape
        torch.Size([1, 1, 20, 28])
    """

    def __init__(
        self,
        *,
        scale: int,
        image_channels: int,
        head: nn.Module,
        levels: list[nn.Module],
        recursions: int = 1,
        resize: nn.Module | None = None,
        normalize: nn.Module | None = None,
        denormalize: nn.Module | None = None,
    ) -> None:
        super().__init__(scale=scale, image_channels=image_channels, normalize=normalize, denormalize=denormalize)
        self.head = head
        if not levels:
            raise ValueError("levels is empty; give at least one level")
        self.levels = nn.ModuleList(levels)
        self.recursions = recursions
        self.resize = resize or nn.Identity()

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge the images ``lr``."""
        image = self.normalise(lr)
        x = self.head(image)
        for _ in range(self.recursions):
            for level in self.levels:
                x, image = level(x, image)
        return self.denormalise(self.resize(image))

    def intermediate_outputs(self, lr: Tensor) -> list[Tensor]:
        """Give the image of every level, coarsest first, for training losses; the last is ``forward``'s."""
        image = self.normalise(lr)
        x = self.head(image)
        images: list[Tensor] = []
        for _ in range(self.recursions):
            for level in self.levels:
                x, image = level(x, image)
                images.append(image)
        images[-1] = self.resize(images[-1])
        return [self.denormalise(image) for image in images]


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
        normalize: first module, from [0, 1] into the network's value range; None for none.
        denormalize: last module, back to [0, 1]; None for none.

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
        normalize: nn.Module | None = None,
        denormalize: nn.Module | None = None,
    ) -> None:
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=_min_side(image_skip),
            normalize=normalize,
            denormalize=denormalize,
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

    def sequential_slots(self) -> list[list[str]]:
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


def _min_side(upsampler: nn.Module | None, least: int = 1) -> int:
    """Give the smallest input side that an upsampler of images takes, and at least `least`."""
    return max(least, getattr(upsampler, "min_size", 1))

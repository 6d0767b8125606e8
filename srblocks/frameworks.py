"""The four frameworks (data flows) of super-resolution networks; a network fills the slots of one of them.

Wang, Chen and Hoi, *Deep Learning for Image Super-resolution: A Survey*, TPAMI 2020, arXiv:1902.06068, Fig. 2.

All of them map images (N, `image_channels`, H, W) to (N, `image_channels`, `scale` * H, `scale` * W), values in [0, 1],
for any H, W >= `min_size` in multiples of `size_multiple`. The arguments `scale`, `image_channels`, `size_multiple`,
`color`, `normalize` and `denormalize` are passed on to `Network`, which documents them.
"""

from torch import Tensor, nn

from .blocks.dense import Concatenate
from .network import Network


class PreUpsampling(Network):
    """``lr -> upsampler -> head -> body -> tail (+ upsampled lr) -> sr``: all layers work at high resolution.

    Wang et al., TPAMI 2020, arXiv:1902.06068, Fig. 2.

    Args:
        upsampler: image to image, upscales by `scale`; it determines `min_size`.
        head: image to features.
        body: features to features.
        tail: features to image.
        image_skip: add the upsampled image to the output of `tail`.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1].

    Examples:
        >>> from srblocks import InterpolateUp, conv
        >>> slots = {"head": conv(1, 8), "body": conv(8, 8), "tail": conv(8, 1)}
        >>> net = PreUpsampling(scale=2, image_channels=1, upsampler=InterpolateUp(1, 2), **slots, image_skip=True)
        >>> net(torch.rand(1, 1, 5, 7)).shape
        torch.Size([1, 1, 10, 14])
    """

    framework = "pre"

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
        """Upscale the images ``lr``."""
        image = self.upsampler(self.normalise(lr))
        sr = self.tail(self.body(self.head(image)))
        if self.image_skip:
            sr = sr + image
        return self.denormalise(sr)

    def sequential_slots(self) -> list[list[str]]:
        """Return the slots that ``forward`` runs in sequence."""
        first, layers = ["normalise", "upsampler"], ["head", "body", "tail"]
        return [first, layers] if self.image_skip else [[*first, *layers, "denormalise"]]


class PostUpsampling(Network):
    """``lr -> head -> body (+ head) -> upsampler -> tail (+ upscaled lr) -> sr``: the layers work at low resolution.

    Wang et al., TPAMI 2020, arXiv:1902.06068, Fig. 2.

    Args:
        head: image to features.
        body: features to features.
        upsampler: features to features, upscales by `scale`.
        tail: features to image.
        long_skip: add the output of `head` to the output of `body`.
        image_skip: upsampler whose image is added to the output of `tail`; None for none.
        min_size: minimum H and W; raised to that of `image_skip`.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1].

    Examples:
        >>> from srblocks import PixelShuffleUp, conv
        >>> slots = {"head": conv(3, 8), "body": conv(8, 8), "upsampler": PixelShuffleUp(8, 2), "tail": conv(8, 3)}
        >>> net = PostUpsampling(scale=2, image_channels=3, **slots, long_skip=True)
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    framework = "post"

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
        """Upscale the images ``lr``."""
        image = self.normalise(lr)
        x = self.head(image)
        x = x + self.body(x) if self.long_skip else self.body(x)
        sr = self.tail(self.upsampler(x))
        if self.image_skip is not None:
            sr = sr + self.image_skip(image)
        return self.denormalise(sr)

    def sequential_slots(self) -> list[list[str]]:
        """Return the slots that ``forward`` runs in sequence."""
        plain = self.image_skip is None
        first = ["normalise", "head"] if plain else ["head"]
        last = ["upsampler", "tail", "denormalise"] if plain else ["upsampler", "tail"]
        return [first, last] if self.long_skip else [[*first, "body", *last]]


class ProgressiveUpsampling(Network):
    """``lr -> head -> level -> level ... -> sr``: each level upscales the features and the image.

    Wang et al., TPAMI 2020, arXiv:1902.06068, Fig. 2.

    Args:
        head: image to features.
        levels: one or more modules ``(features, image) -> (features, image)``, such as `LaplacianLevel`.
        recursions: number of runs of `levels`, which share their weights.
        resize: image to image after the last level, for scales between two levels; None for none.

    Raises:
        ValueError: `levels` is empty.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1].

    Examples:
        >>> from srblocks import LaplacianLevel, conv
        >>> levels = [LaplacianLevel(8, body=conv(8, 8)) for _ in range(2)]
        >>> net = ProgressiveUpsampling(scale=4, image_channels=1, head=conv(1, 8), levels=levels)
        >>> net(torch.rand(1, 1, 5, 7)).shape
        torch.Size([1, 1, 20, 28])
    """

    framework = "progressive"

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
            raise ValueError("ProgressiveUpsampling: levels must not be empty")
        self.levels = nn.ModuleList(levels)
        self.recursions = recursions
        self.resize = resize or nn.Identity()

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the images ``lr``."""
        image = self.normalise(lr)
        x = self.head(image)
        for _ in range(self.recursions):
            for level in self.levels:
                x, image = level(x, image)
        return self.denormalise(self.resize(image))

    def intermediate_outputs(self, lr: Tensor) -> list[Tensor]:
        """Return the image of every level, coarsest first; the last one is the output."""
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
    """``lr -> head -> up (-> down -> up) ... -> tail -> sr``: alternating up- and downscaling.

    Wang et al., TPAMI 2020, arXiv:1902.06068, Fig. 2.

    The units are densely connected: each receives all previous outputs at its input resolution, and `tail` receives all
    high-resolution features.

    Args:
        head: image to features.
        first: upscaling of the features of `head`.
        downs: downscaling units for the concatenated high-resolution features.
        ups: upscaling units for the concatenated low-resolution features, one per unit of `downs`.
        tail: concatenated high-resolution features to image; with `recursions`, the last ones of each pass.
        recursions: passes through the units with shared weights, each starting from the last low-resolution features
            of the previous pass. None for a single pass, whose high-resolution features all go to `tail`.
        newest_first: order of the concatenations within a pass; passes are always concatenated oldest first.
        image_skip: upsampler whose image is added to the output of `tail`; None for none.

    Raises:
        ValueError: `ups` and `downs` differ in length.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1].

    Examples:
        >>> from srblocks import DownProjection, UpProjection, conv
        >>> units = {"first": UpProjection(8, 2), "downs": [DownProjection(8, 2)], "ups": [UpProjection(8, 2)]}
        >>> net = IterativeUpsampling(scale=2, image_channels=3, head=conv(3, 8), **units, tail=conv(16, 3))
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    framework = "iterative"

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
            raise ValueError(f"IterativeUpsampling: expected as many ups as downs, got {len(ups)} and {len(downs)}")
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
        """Upscale the images ``lr``."""
        image = self.normalise(lr)
        x = self.head(image)
        if self.recursions is None:
            sr = self.tail(self.tail_join(self._pass(x)[0]))
        else:
            outputs: list[Tensor] = []
            for _ in range(self.recursions):
                highs, x = self._pass(x)
                outputs.append(highs[0] if self.newest_first else highs[-1])
            sr = self.tail(self.tail_join(outputs))
        if self.image_skip is not None:
            sr = sr + self.image_skip(image)
        return self.denormalise(sr)

    def sequential_slots(self) -> list[list[str]]:
        """Return the slots that ``forward`` runs in sequence."""
        return [["normalise", "head"], ["tail", "denormalise"]] if self.image_skip is None else []

    def _pass(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Run all units once; return all high-resolution features and the last low-resolution ones."""
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
    """Return the minimum input size of an image upsampler, at least `least`."""
    return max(least, getattr(upsampler, "min_size", 1))

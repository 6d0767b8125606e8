"""The four data flows of super-resolution networks; a network fills the slots of one of them.

Wang, Chen and Hoi, *Deep Learning for Image Super-resolution: A Survey*, TPAMI 2020, arXiv:1902.06068, Fig. 2.
"""

import torch
from torch import Tensor, nn

from .network import Network


class PreUpsampling(Network):
    """``lr -> upsampler -> head -> body -> tail (+ upsampled lr) -> sr``: all layers work at high resolution.

    Args:
        scale: enlargement per side.
        image_channels: channels of the images, 1 = Y, 3 = RGB.
        upsampler: image to image, `scale` times larger; it fixes `min_size`.
        head: image to features.
        body: features to features.
        tail: features to image.
        image_skip: add the upsampled image to the output of `tail`.
        normalise: first module, from [0, 1] into the network's value range; None for none.
        denormalise: last module, back to [0, 1]; None for none.
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
        normalise: nn.Module | None = None,
        denormalise: nn.Module | None = None,
    ) -> None:
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=getattr(upsampler, "min_size", 1),
            normalise=normalise,
            denormalise=denormalise,
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


class PostUpsampling(Network):
    """``lr -> head -> body (+ head) -> upsampler -> tail -> sr``: the layers work at low resolution.

    Args:
        scale: enlargement per side.
        image_channels: channels of the images, 1 = Y, 3 = RGB.
        head: image to features.
        body: features to features.
        upsampler: features to features, `scale` times larger.
        tail: features to image.
        long_skip: add the output of `head` to the output of `body`.
        normalise: first module, from [0, 1] into the network's value range; None for none.
        denormalise: last module, back to [0, 1]; None for none.
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
        normalise: nn.Module | None = None,
        denormalise: nn.Module | None = None,
    ) -> None:
        super().__init__(scale=scale, image_channels=image_channels, normalise=normalise, denormalise=denormalise)
        self.head = head
        self.body = body
        self.upsampler = upsampler
        self.tail = tail
        self.long_skip = long_skip

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge the images ``lr``."""
        features = self.head(self.normalise(lr))
        x = self.body(features)
        if self.long_skip:
            x = x + features
        return self.denormalise(self.tail(self.upsampler(x)))


class ProgressiveUpsampling(Network):
    """``lr -> head -> level -> level ... -> sr``: each level enlarges the features and the image.

    Args:
        scale: enlargement per side.
        image_channels: channels of the images, 1 = Y, 3 = RGB.
        head: image to features.
        levels: one or more modules ``(features, image) -> (features, image)``, such as `LaplacianLevel`.
        resize: image to image behind the last level, for scales between two levels; None for none.
        normalise: first module, from [0, 1] into the network's value range; None for none.
        denormalise: last module, back to [0, 1]; None for none.
    """

    def __init__(
        self,
        *,
        scale: int,
        image_channels: int,
        head: nn.Module,
        levels: list[nn.Module],
        resize: nn.Module | None = None,
        normalise: nn.Module | None = None,
        denormalise: nn.Module | None = None,
    ) -> None:
        super().__init__(scale=scale, image_channels=image_channels, normalise=normalise, denormalise=denormalise)
        self.head = head
        if not levels:
            raise ValueError("levels is empty; give at least one level")
        self.levels = nn.ModuleList(levels)
        self.resize = resize or nn.Identity()

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge the images ``lr``."""
        image = self.normalise(lr)
        x = self.head(image)
        for level in self.levels:
            x, image = level(x, image)
        return self.denormalise(self.resize(image))

    def supervised(self, lr: Tensor) -> list[Tensor]:
        """Give the image of every level, coarsest first, for training losses; the last is ``forward``'s."""
        image = self.normalise(lr)
        x = self.head(image)
        images: list[Tensor] = []
        for level in self.levels:
            x, image = level(x, image)
            images.append(image)
        images[-1] = self.resize(images[-1])
        return [self.denormalise(image) for image in images]


class IterativeUpsampling(Network):
    """``lr -> head -> up (-> down -> up) ... -> tail over all enlarged features -> sr``, densely connected.

    Every unit after the first `up` sees all earlier outputs at its resolution, newest first.

    Args:
        scale: enlargement per side.
        image_channels: channels of the images, 1 = Y, 3 = RGB.
        head: image to features.
        first: the first enlargement of the features.
        downs: reductions of the concatenated high-resolution features.
        ups: enlargements of the concatenated low-resolution features, one behind each of `downs`.
        tail: concatenation of all high-resolution features, newest first, to image.
        image_skip: upsampler whose image is added to the output of `tail`; None for none.
        normalise: first module, from [0, 1] into the network's value range; None for none.
        denormalise: last module, back to [0, 1]; None for none.

    Raises:
        ValueError: another number of `ups` than of `downs`.
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
        image_skip: nn.Module | None = None,
        normalise: nn.Module | None = None,
        denormalise: nn.Module | None = None,
    ) -> None:
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=getattr(image_skip, "min_size", 1),
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
        self.image_skip = image_skip

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge the images ``lr``."""
        image = self.normalise(lr)
        high = self.first(self.head(image))
        low: Tensor | None = None
        for down, up in zip(self.downs, self.ups):  # noqa: B905 (torch.jit.script knows no strict=)
            reduced = down(high)
            low = reduced if low is None else torch.cat((reduced, low), 1)
            high = torch.cat((up(low), high), 1)
        sr = self.tail(high)
        if self.image_skip is not None:
            sr = sr + self.image_skip(image)
        return self.denormalise(sr)

"""Enlarge level by level."""

from torch import Tensor, nn

from ..network import Network


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
        normalise: first module, from [0, 1] into the network's value range; None for none.
        denormalise: last module, back to [0, 1]; None for none.

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
        normalise: nn.Module | None = None,
        denormalise: nn.Module | None = None,
    ) -> None:
        super().__init__(scale=scale, image_channels=image_channels, normalise=normalise, denormalise=denormalise)
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

    def supervised(self, lr: Tensor) -> list[Tensor]:
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

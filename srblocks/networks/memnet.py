"""MemNet: memory blocks with gates over all earlier memories."""

from torch import Tensor, nn

from ..blocks import LearnedAverage, MemoryBlock, PreActivatedConv, conv, normalization
from ..frameworks import PreUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp


class MemNet(PreUpsampling):
    """MemNet: persistent memory network, multi-supervised.

    Tai et al., *MemNet: A Persistent Memory Network for Image Restoration*, ICCV 2017, arXiv:1708.02209, Fig. 2 to 4:
    M memory blocks, each with R runs of a shared residual unit and a gate over all earlier memories. Every memory is
    reconstructed to an image, and the output is the learned average of the images. `intermediate_outputs` returns these
    images, then the average. As in the authors' networks, every convolution is pre-activated (normalization, ReLU,
    convolution); the runs and the images share convolutions, not normalizations.

    Args:
        scale: scale factor; 1 for an input that is interpolated already.
        image_channels: 1 = Y (paper), 3 = RGB.
        width: feature channels (paper: 64).
        memories: number M of memory blocks.
        recursions: number R of residual units in each block.
        norm: use batch normalization.
        bias: add learned biases to the convolutions.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 2.
        695,497 parameters on Y for M6R6; the published 677K counts the weights of the convolutions alone.

    Raises:
        ValueError: ``memories < 1`` or ``recursions < 1``.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 64,
        memories: int = 6,
        recursions: int = 6,
        norm: bool = True,
        bias: bool = True,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        norm_factory = nn.BatchNorm2d if norm else None
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            upsampler=InterpolateUp(image_channels, scale),
            head=PreActivatedConv(image_channels, width, norm=norm_factory, bias=bias),
            body=nn.ModuleList(
                MemoryBlock(width, memories=i + 1, recursions=recursions, norm=norm_factory, bias=bias)
                for i in range(memories)
            ),
            tail=conv(width, image_channels, bias=bias),
            denormalize=denormalize,
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) if norm else nn.Identity() for _ in range(memories))
        self.act = nn.ReLU()
        self.average = LearnedAverage(memories)
        he_(self, mode="fan_in")

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the images ``lr``."""
        return self.denormalise(self.average(self._images(lr)))

    def intermediate_outputs(self, lr: Tensor) -> list[Tensor]:
        """Return the image of every memory, first to last, then their average, the output of ``forward``."""
        images = self._images(lr)
        return [self.denormalise(image) for image in [*images, self.average(images)]]

    def _images(self, lr: Tensor) -> list[Tensor]:
        image = self.upsampler(self.normalise(lr))
        memories = [self.head(image)]
        images: list[Tensor] = []
        for block, norm in zip(self.body, self.norms):  # noqa: B905 (torch.jit.script) # pyright: ignore[reportArgumentType]
            memories.append(block(memories))
            images.append(image + self.tail(self.act(norm(memories[-1]))))
        return images


register(
    NetworkSpec(
        name="memnet",
        build=MemNet,
        paper="Tai et al., ICCV 2017, arXiv:1708.02209",
        size_requirements={
            scale: SizeRequirements(radius=radius, min_size=2) for scale, radius in {2: 39, 3: 26, 4: 20}.items()
        },
        reduced={"memories": 2, "recursions": 2},
    )
)

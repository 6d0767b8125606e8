"""DRCN: one convolution that runs sixteen times, and a learned average of all reconstructions."""

from typing import Literal

import torch
from torch import Tensor, nn

from ..blocks import LearnedAverage, RecursiveBlock, conv, normalization
from ..frameworks import PreUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp


class _Reconstruction(nn.Module):
    """Reconstruct an image from features and the interpolated image."""

    def __init__(self, width: int, image_channels: int, *, skip: str, act: nn.Module) -> None:
        super().__init__()
        self.skip = skip
        self.act = act
        self.conv1 = conv(width, width)
        self.conv2 = conv(width + image_channels if skip == "concat" else width, image_channels)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        x = self.act(self.conv1(x))
        if self.skip == "concat":
            return self.act(self.conv2(torch.cat((x, image), 1)))
        return self.act(self.conv2(x)) + image


class DRCN(PreUpsampling):
    """DRCN: deeply-recursive convolutional network.

    Kim et al., *Deeply-Recursive Convolutional Network for Image Super-Resolution*, CVPR 2016, arXiv:1511.04491,
    Fig. 1 to 3: an embedding, one convolution and one reconstruction that all recursions share; the output is a learned
    average of the reconstructions. `intermediate_outputs` returns each reconstruction, then the average.

    Args:
        scale: scale factor; 1 for an input that is interpolated already.
        image_channels: 1 = Y (paper), 3 = RGB.
        width: feature channels (paper: 256).
        recursions: number D of runs of the shared convolution (paper: 16).
        skip: how a reconstruction uses the interpolated image: "add" (matches the published multiply-adds) or "concat"
            before the last convolution (a widely used port).
        reconstruction_act: ReLU after both convolutions of the reconstruction (that port).
        normalized_average: divide by the sum of the learned weights (that port).
        interpolation: "bicubic" (MATLAB's), "bilinear" or "nearest".
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 2.
        1,775,121 parameters on Y.

    Raises:
        ValueError: unknown `skip`, or ``recursions < 1``.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 256,
        recursions: int = 16,
        skip: Literal["add", "concat"] = "add",
        reconstruction_act: bool = False,
        normalized_average: bool = False,
        interpolation: Literal["bicubic", "bilinear", "nearest"] = "bicubic",
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        body = RecursiveBlock(width, recursions=recursions, depth=1, norm=None, pre_activation=False, skip="none")
        act = nn.ReLU() if reconstruction_act else nn.Identity()
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            upsampler=InterpolateUp(image_channels, scale, mode=interpolation),
            head=nn.Sequential(conv(image_channels, width), nn.ReLU(), conv(width, width), nn.ReLU()),
            body=body,
            tail=_Reconstruction(width, image_channels, skip=skip, act=act),
            denormalize=denormalize,
        )
        self.average = LearnedAverage(recursions, normalized=normalized_average)
        he_(self)
        nn.init.dirac_(body.get_parameter("convs.0.weight"))

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the images ``lr``."""
        return self.denormalise(self.average(self._reconstructions(lr)))

    def intermediate_outputs(self, lr: Tensor) -> list[Tensor]:
        """Return the image of every recursion, first to last, then their average, the output of ``forward``."""
        images = self._reconstructions(lr)
        return [self.denormalise(image) for image in [*images, self.average(images)]]

    def _reconstructions(self, lr: Tensor) -> list[Tensor]:
        image = self.upsampler(self.normalise(lr))
        images: list[Tensor] = []
        for x in self.body.states(self.head(image)):  # pyright: ignore[reportCallIssue]
            images.append(self.tail(x, image))
        return images


register(
    NetworkSpec(
        name="drcn",
        build=DRCN,
        paper="Kim et al., CVPR 2016, arXiv:1511.04491",
        size_requirements={
            scale: SizeRequirements(radius=radius, min_size=2) for scale, radius in {2: 12, 3: 8, 4: 7}.items()
        },
        reduced={"recursions": 3},
    )
)

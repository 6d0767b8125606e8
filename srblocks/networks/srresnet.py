"""SRResNet, the SRGAN generator, and the SRGAN discriminator."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from torch import Tensor, nn

from ..blocks import ResidualBlock, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp

_ACTIVATIONS = {"prelu": nn.PReLU, "leaky_relu": partial(nn.LeakyReLU, 0.2)}
_NORMS = {"batch": nn.BatchNorm2d, "instance": partial(nn.InstanceNorm2d, affine=True)}


class _TanhToUnit(nn.Module):
    """``(tanh(x) + 1) / 2``, into [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.tanh() + 1) / 2


class SRResNet(PostUpsampling):
    """SRResNet: residual network with batch normalization; the generator of SRGAN.

    Ledig et al., *Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network*, CVPR 2017,
    arXiv:1609.04802, Fig. 4. Differs from the paper: output values are in [0, 1] instead of [-1, 1].

    Args:
        scale: scale factor (paper: 4).
        image_channels: 3 = RGB (paper), 1 = Y.
        width: feature channels.
        depth: residual blocks (paper: 16).
        norm: "batch" (paper) or "instance" (affine; one port).
        act: "prelu" (one slope each; paper) or "leaky_relu" (slope 0.2; one port).
        bias: learned biases: None for convolutions without normalization (paper), True for all, False for none.
        body_end: layer after the last convolution of the body: "norm" (paper) or "act" (one port).
        output: "linear", or "tanh01" for ``(tanh(x) + 1) / 2`` (some ports).
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        1,399,637 / 1,547,350 / 1,695,063 parameters at x2 / x4 / x8.

    Raises:
        ValueError: an unknown `norm`, `act`, `body_end` or `output`.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 64,
        depth: int = 16,
        norm: Literal["batch", "instance"] = "batch",
        act: Literal["prelu", "leaky_relu"] = "prelu",
        bias: bool | None = None,
        body_end: Literal["norm", "act"] = "norm",
        output: Literal["linear", "tanh01"] = "linear",
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        norm_factory, act_factory = _NORMS[norm], _ACTIVATIONS[act]
        norm_bias = bool(bias)  # of convolutions followed by a normalization
        other_bias = bias is None or bias
        blocks = [ResidualBlock(width, norm=norm_factory, act=act_factory, bias=norm_bias) for _ in range(depth)]
        end = norm_factory(width) if body_end == "norm" else act_factory()
        tail = conv(width, image_channels, 9, bias=other_bias)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(conv(image_channels, width, 9, bias=other_bias), act_factory()),
            body=nn.Sequential(*blocks, conv(width, width, bias=norm_bias), end),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, bias=other_bias, act=act_factory),
            tail=nn.Sequential(tail, _TanhToUnit()) if output == "tanh01" else tail,
            denormalize=denormalize,
        )


class SRGANDiscriminator(nn.Module):
    """SRGAN discriminator: one logit per image, high for photographs and low for upscaled images.

    Ledig et al., CVPR 2017, arXiv:1609.04802, Fig. 4: pairs of convolutions, the second of each with stride 2, then
    two linear layers. The paper's sigmoid is part of the loss (`srblocks.losses.AdversarialLoss`).

    Args:
        image_size: side of the square images, a multiple of ``2 ** len(widths)``.
        image_channels: channels of the images.
        widths: channels of the pairs of convolutions (paper: 64, 128, 256, 512).
        strided_kernel: side of the kernels with stride 2: 3 (paper) or 4 (ports, ESRGAN).
        head_bias: add a learned bias to the first convolution, the only one without normalization.
        hidden: features between the linear layers (paper: 1024).

    Shape:
        ``(N, image_channels, image_size, image_size) -> (N, 1)``. 23,563,649 parameters with the defaults (paper);
        14,499,401 for ESRGAN: ``image_size=128, widths=(64, 128, 256, 512, 512), strided_kernel=4, hidden=100``.

    Raises:
        ValueError: `strided_kernel` is neither 3 nor 4, or `image_size` cannot be halved once per pair.

    Examples:
        >>> SRGANDiscriminator(image_size=32, widths=(8, 16), hidden=10)(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 1])
    """

    def __init__(
        self,
        *,
        image_size: int = 96,
        image_channels: int = 3,
        widths: Sequence[int] = (64, 128, 256, 512),
        strided_kernel: int = 3,
        head_bias: bool = True,
        hidden: int = 1024,
    ) -> None:
        super().__init__()
        if strided_kernel not in (3, 4):
            raise ValueError(f"SRGANDiscriminator: strided_kernel must be 3 or 4, got {strided_kernel}")
        if not widths or image_size < 1 or image_size % 2 ** len(widths):
            raise ValueError(
                f"SRGANDiscriminator: image_size must be a multiple of {2 ** len(widths)} for {len(widths)} widths (at "
                f"least one), got {image_size}"
            )
        self.image_size = image_size
        layers: list[nn.Module] = []
        channels = image_channels
        for width in widths:
            first = channels == image_channels and not layers
            layers.append(conv(channels, width, bias=first and head_bias))
            layers += [] if first else [nn.BatchNorm2d(width)]
            layers += [
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, width, strided_kernel, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.2),
            ]
            channels = width
        self.features = nn.Sequential(*layers)
        side = image_size // 2 ** len(widths)
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * side * side, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return one logit per image, high for photographs.

        Raises:
            ValueError: the images have another size.
        """
        if image.shape[2] != self.image_size or image.shape[3] != self.image_size:
            raise ValueError(
                f"SRGANDiscriminator: images must be {self.image_size} x {self.image_size}, got {image.shape[2:]}"
            )
        return self.classifier(self.features(image))


register(
    NetworkSpec(
        name="srresnet",
        build=SRResNet,
        paper="Ledig et al., CVPR 2017, arXiv:1609.04802",
        size_requirements={scale: SizeRequirements(radius=40) for scale in (2, 4, 8)},
        reduced={"depth": 2},
    )
)

"""SRResNet, the generator of SRGAN, and SRGAN's discriminator."""

from collections.abc import Sequence
from functools import partial

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
    """Residual network with batch normalization; trained adversarially it is SRGAN's generator.

    Ledig et al., *Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network*, CVPR 2017,
    arXiv:1609.04802, Fig. 4. Differs from the paper: values are in [0, 1], where the paper's output is in [-1, 1].

    Args:
        scale: enlargement per side (paper: 4).
        image_channels: 3 = RGB (paper), 1 = Y.
        width: feature channels.
        depth: residual blocks (paper: 16).
        norm: "batch" (paper) or "instance" (affine; one port).
        act: "prelu" (one shared slope each, paper) or "leaky_relu" (slope 0.2; one port).
        bias: biases of the convolutions: None where no normalization follows (paper), True everywhere, False nowhere.
        body_end: what follows the convolution behind the blocks: "norm" (paper) or "act" (one port).
        output: "linear", or "tanh01" for ``(tanh + 1) / 2`` (ports that end so).
        value_range: the value of white inside the network.

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
        norm: str = "batch",
        act: str = "prelu",
        bias: bool | None = None,
        body_end: str = "norm",
        output: str = "linear",
        value_range: float = 1.0,
    ) -> None:
        choices = {"norm": _NORMS, "act": _ACTIVATIONS, "body_end": ("norm", "act"), "output": ("linear", "tanh01")}
        for name, value in (("norm", norm), ("act", act), ("body_end", body_end), ("output", output)):
            if value not in choices[name]:
                raise ValueError(f"SRResNet: {name}={value!r} is unknown; use {' or '.join(map(repr, choices[name]))}")
        normalize, denormalize = normalization(image_channels, value_range)
        norm_factory, act_factory = _NORMS[norm], _ACTIVATIONS[act]
        before_norm = bool(bias)
        elsewhere = bias is None or bias
        blocks = [ResidualBlock(width, norm=norm_factory, act=act_factory, bias=before_norm) for _ in range(depth)]
        end = norm_factory(width) if body_end == "norm" else act_factory()
        tail = conv(width, image_channels, 9, bias=elsewhere)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(conv(image_channels, width, 9, bias=elsewhere), act_factory()),
            body=nn.Sequential(*blocks, conv(width, width, bias=before_norm), end),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, bias=elsewhere, act=act_factory),
            tail=nn.Sequential(tail, _TanhToUnit()) if output == "tanh01" else tail,
            denormalize=denormalize,
        )


class SRGANDiscriminator(nn.Module):
    """Tell photographs from enlarged images: one logit per image.

    Ledig et al., CVPR 2017, arXiv:1609.04802, Fig. 4: pairs of convolutions, the second of each with stride 2, then
    two linear layers. The paper's sigmoid is left to the loss (`srblocks.losses.AdversarialLoss`).

    Args:
        image_size: side of the square images, a multiple of ``2 ** len(widths)``.
        image_channels: channels of the images.
        widths: channels of the pairs of convolutions (paper: 64, 128, 256, 512).
        strided_kernel: side of the kernels with stride 2: 3 (paper) or 4 (ports, ESRGAN).
        head_bias: bias of the first convolution, which alone has no normalization.
        hidden: features between the linear layers (paper: 1024).

    Shape:
        ``(N, image_channels, image_size, image_size) -> (N, 1)``. 23,563,649 parameters with the paper's layout; with
        ``image_size=128, widths=(64, 128, 256, 512, 512), strided_kernel=4, hidden=100`` ESRGAN's, 14,499,401.

    Raises:
        ValueError: another kernel, or a size that cannot be halved for each pair.

    Example:
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
            raise ValueError(f"SRGANDiscriminator: strided_kernel={strided_kernel} is unknown; use 3 or 4")
        if not widths or image_size < 1 or image_size % 2 ** len(widths):
            raise ValueError(
                f"SRGANDiscriminator: image_size={image_size} cannot be halved {len(widths)} times; "
                f"use a multiple of {2 ** len(widths)} and at least one width"
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
        """Give one logit per image, high for photographs.

        Raises:
            ValueError: images of another size.
        """
        if image.shape[2] != self.image_size or image.shape[3] != self.image_size:
            raise ValueError(
                f"SRGANDiscriminator: images of {image.shape[2:]}; crop them to {self.image_size} per side"
            )
        return self.classifier(self.features(image))


register(
    NetworkSpec(
        name="srresnet",
        build=SRResNet,
        paper="Ledig et al., CVPR 2017, arXiv:1609.04802",
        framework="post",
        size_requirements={scale: SizeRequirements(radius=40) for scale in (2, 4, 8)},
        image_channels=3,
        color="rgb",
        reduced={"depth": 2},
    )
)

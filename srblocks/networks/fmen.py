"""FMEN: a plain chain with attention to high frequencies, deployed as plain convolutions."""

from functools import partial

import torch
from torch import Tensor, nn

from ..blocks import RRRB, NormedConv, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp

_leaky = partial(nn.LeakyReLU, 0.1)


def enhanced_block(channels: int, *, deploy: bool) -> nn.Sequential:
    """Return an enhanced residual block (ERB): convolution, LeakyReLU, convolution; in training two `RRRB`."""
    layers = [conv(channels, channels) if deploy else RRRB(channels) for _ in range(2)]
    return nn.Sequential(layers[0], _leaky(), layers[1])


class HighFrequencyAttention(nn.Module):
    """High-frequency attention block (HFAB): ``x * sigmoid(excite(act(blocks(act(squeeze(x))))))``.

    Du et al., *Fast and Memory-Efficient Network Towards Efficient Image Super-Resolution*, CVPRW 2022,
    arXiv:2204.08397, Fig. 2.

    Args:
        channels: feature channels C.
        width: channels of the attention branch.
        depth: enhanced residual blocks in the branch.
        deploy: plain convolutions; False for `RRRB`, and `NormedConv` at both ends of the branch.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.
    """

    def __init__(self, channels: int, width: int, *, depth: int = 1, deploy: bool = True) -> None:
        super().__init__()
        self.squeeze = conv(channels, width) if deploy else NormedConv(channels, width)
        self.blocks = nn.Sequential(*(enhanced_block(width, deploy=deploy) for _ in range(depth)))
        self.excite = conv(width, channels) if deploy else NormedConv(width, channels, after=True)
        self.act = _leaky()

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the features ``x`` by their gate."""
        gate = self.excite(self.act(self.blocks(self.act(self.squeeze(x)))))
        return x * torch.sigmoid(gate)


class FMEN(PostUpsampling):
    """FMEN: fast and memory-efficient network.

    Du et al., *Fast and Memory-Efficient Network Towards Efficient Image Super-Resolution*, CVPRW 2022,
    arXiv:2204.08397, Fig. 2.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper).
        width: feature channels.
        attention_width: channels of the attention branches; the first has 4 less.
        depth: pairs of an enhanced residual block and an attention block after the first attention block.
        deploy: plain 3x3 convolutions; False for `RRRB` and `NormedConv`, in which the network is trained.
        value_range: value of white inside the network (authors: 255).

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        324,830 / 331,595 / 341,066 parameters at x2 / x3 / x4.

    Raises:
        ValueError: ``attention_width < 5``.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 50,
        attention_width: int = 16,
        depth: int = 4,
        deploy: bool = True,
        value_range: float = 255.0,
    ) -> None:
        if attention_width < 5:
            raise ValueError(f"FMEN: attention_width must be >= 5, got {attention_width}")
        normalize, denormalize = normalization(image_channels, value_range)
        attention = partial(HighFrequencyAttention, width, deploy=deploy)
        body: list[nn.Module] = [conv(width, width), attention(attention_width - 4, depth=2)]
        for _ in range(depth):
            body += [enhanced_block(width, deploy=deploy), attention(attention_width)]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=conv(image_channels, width),
            body=nn.Sequential(*body, conv(width, width)),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


register(
    NetworkSpec(
        name="fmen",
        build=FMEN,
        paper="Du et al., CVPRW 2022, arXiv:2204.08397",
        size_requirements={scale: SizeRequirements(radius=34) for scale in (2, 3, 4)},
        reduced={"depth": 1},
    )
)

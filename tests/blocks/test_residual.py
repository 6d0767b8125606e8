from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks.blocks import Rescale, ResidualBlock, ResidualGroup

SIZES = st.integers(1, 8)
SRRESNET = partial(ResidualBlock, norm=nn.BatchNorm2d, act=nn.PReLU)


def pointwise(layer: nn.Conv2d, weight: float, bias: float) -> None:
    """Turn a one-channel convolution into ``weight * x + bias``."""
    middle = layer.kernel_size[0] // 2
    with torch.no_grad():
        layer.weight.zero_()[0, 0, middle, middle] = weight
        layer.bias.fill_(bias)


@torch.no_grad()
def plain(block: ResidualBlock, x: Tensor) -> Tensor:
    """Return the residual branch of a block without normalization and attention."""
    padding = block.conv1.kernel_size[0] // 2
    hidden = F.conv2d(x, block.conv1.weight, block.conv1.bias, padding=padding).clamp(min=0)
    return F.conv2d(hidden, block.conv2.weight, block.conv2.bias, padding=padding)


def test_hand_computed_block() -> None:
    block = ResidualBlock(1, res_scale=0.5)
    pointwise(block.conv1, 2.0, -1.0)
    pointwise(block.conv2, 3.0, 0.25)
    # x + 0.5 * (3 * relu(2 x - 1) + 0.25)
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0]).view(1, 1, 1, 5)
    assert block(x).flatten().tolist() == [-0.875, 0.125, 0.625, 2.625, 6.625]


@settings(max_examples=10, deadline=None)
@given(channels=st.integers(1, 4), side=st.sampled_from([1, 3, 5]), height=SIZES, width=SIZES)
def test_default_block_is_conv_relu_conv(channels: int, side: int, height: int, width: int) -> None:
    block = ResidualBlock(channels, kernel_size=side, res_scale=0.1).double()
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    y = block(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y, x + 0.1 * plain(block, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
def test_srresnet_block_normalizes_after_both_convolutions(training: bool) -> None:
    block = SRRESNET(3).double().train(training)
    for parameter in block.parameters():
        nn.init.uniform_(parameter, -0.5, 1)
    for norm in (block.norm1, block.norm2):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(1, 2)
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)

    def normalized(y: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        mean, variance = norm.running_mean, norm.running_var
        if training:
            mean, variance = y.mean((0, 2, 3)), y.var((0, 2, 3), correction=0)
        scale = norm.weight / (variance + 1e-5).sqrt()
        return (y - mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]

    hidden = normalized(F.conv2d(x, block.conv1.weight, padding=1), block.norm1)
    hidden = torch.where(hidden > 0, hidden, block.act.weight * hidden)
    expected = x + normalized(F.conv2d(hidden, block.conv2.weight, padding=1), block.norm2)
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-12)


def test_convolutions_have_a_bias_only_without_norm() -> None:
    assert "conv1.bias" not in SRRESNET(4).state_dict()
    assert "conv2.bias" not in SRRESNET(4).state_dict()
    assert {"conv1.bias", "conv2.bias"} <= ResidualBlock(4).state_dict().keys()


def test_factories_receive_the_channels() -> None:
    norms: list[int] = []
    attentions: list[int] = []
    ResidualBlock(6, norm=lambda c: norms.append(c) or nn.Identity())
    ResidualBlock(6, attention=lambda c: attentions.append(c) or nn.Identity())
    assert (norms, attentions) == ([6, 6], [6])


def test_attention_applies_to_the_residual_branch_only() -> None:
    block = ResidualBlock(2, attention=lambda channels: Rescale(-3), res_scale=0.5)
    x = torch.randn(1, 2, 4, 5)
    torch.testing.assert_close(block(x), x - 1.5 * plain(block, x))


def test_even_kernel_raises() -> None:
    with pytest.raises(ValueError, match="kernel_size must be odd and >= 1 to keep the size, got 4"):
        ResidualBlock(3, kernel_size=4)


def test_group_is_blocks_a_convolution_and_a_skip() -> None:
    group = ResidualGroup(3, depth=2).double()
    first, second, last = group.body
    x = torch.randn(1, 3, 6, 5, dtype=torch.float64)
    y = x + plain(first, x)
    y = y + plain(second, y)
    torch.testing.assert_close(group(x), x + F.conv2d(y, last.weight, last.bias, padding=1), rtol=0, atol=1e-12)


@given(depth=st.integers(0, 5), channels=st.integers(1, 5))
@settings(deadline=None, max_examples=10)
def test_group_builds_each_block_once(depth: int, channels: int) -> None:
    built_for: list[int] = []
    group = ResidualGroup(channels, depth=depth, block=lambda c: built_for.append(c) or nn.Identity())
    assert built_for == [channels] * depth
    assert len(group.body) == depth + 1


def test_group_with_zero_weights_is_the_identity() -> None:
    group = ResidualGroup(2, depth=3)
    for parameter in group.body[-1].parameters():
        nn.init.zeros_(parameter)
    x = torch.rand(1, 2, 3, 3)
    assert torch.equal(group(x), x)


def test_inplace_activation_does_not_modify_the_input() -> None:
    x = torch.randn(1, 2, 3, 3)
    before = x.clone()
    ResidualBlock(2, act=partial(nn.ReLU, inplace=True))(x)
    assert torch.equal(x, before)


def test_repr_omits_missing_layers() -> None:
    assert repr(ResidualBlock(1, res_scale=0.1)) == (
        "ResidualBlock(\n"
        "  res_scale=0.1\n"
        "  (conv1): Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "  (act): ReLU()\n"
        "  (conv2): Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        ")"
    )
    full = ResidualBlock(1, norm=nn.BatchNorm2d, attention=lambda channels: Rescale(2), out_act="relu")
    assert [line.split(")")[0].strip(" (") for line in repr(full).splitlines()[1:-1]] == list(
        dict(full.named_children())
    )

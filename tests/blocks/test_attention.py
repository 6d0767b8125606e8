import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks.blocks import RCAB, ChannelAttention, Rescale, ResidualBlock

SIZES = st.integers(1, 7)


def gates(attention: ChannelAttention, x: Tensor) -> Tensor:
    """Eq. (7)-(9) with matrices: one gate per item and channel."""
    means = x.flatten(2).sum(2) / (x.shape[2] * x.shape[3])
    hidden = means @ attention.squeeze.weight.flatten(1).T + attention.squeeze.bias
    excited = hidden.clamp(min=0) @ attention.excite.weight.flatten(1).T + attention.excite.bias
    return 1 / (1 + torch.exp(-excited))


def test_hand_computed_gates() -> None:
    attention = ChannelAttention(2, reduction=2).requires_grad_(False)
    attention.squeeze.weight.copy_(torch.tensor([[1.0, 2.0]])[..., None, None])
    attention.squeeze.bias.fill_(-1)
    attention.excite.weight.copy_(torch.tensor([math.log(3), 0.0])[:, None, None, None])
    attention.excite.bias.copy_(torch.tensor([0.0, math.log(4)]))
    # Means 1 and 0.5 give a hidden value of 1, gates sigmoid(ln 3) = 3/4 and sigmoid(ln 4) = 4/5.
    x = torch.tensor([[[[0.0, 2.0]], [[1.0, 0.0]]]])
    torch.testing.assert_close(attention(x), torch.tensor([[[[0.0, 1.5]], [[0.8, 0.0]]]]))
    # Negative means leave the biases alone: gates 1/2 and 4/5.
    torch.testing.assert_close(attention(-x), torch.tensor([[[[0.0, -1.0]], [[-0.8, 0.0]]]]))


@settings(max_examples=25, deadline=None)
@given(channels=st.integers(1, 9), data=st.data(), height=SIZES, width=SIZES)
def test_each_channel_is_scaled_by_its_gate(channels: int, data: st.DataObject, height: int, width: int) -> None:
    attention = ChannelAttention(channels, reduction=data.draw(st.integers(1, channels))).double()
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    y = attention(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y, x * gates(attention, x)[:, :, None, None], rtol=0, atol=1e-12)


def test_only_the_mean_of_the_map_counts_not_the_place() -> None:
    attention = ChannelAttention(8, reduction=4).double()
    x = torch.randn(1, 8, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(attention(x.flip(2, 3)), attention(x).flip(2, 3))


@pytest.mark.parametrize("channels,reduction,hidden", [(64, 16, 4), (10, 4, 2), (7, 7, 1)])
def test_hidden_layer_is_reduced_and_rounded_down(channels: int, reduction: int, hidden: int) -> None:
    attention = ChannelAttention(channels, reduction=reduction)
    assert attention.squeeze.weight.shape == (hidden, channels, 1, 1)
    assert attention.excite.weight.shape == (channels, hidden, 1, 1)


@pytest.mark.parametrize("factory", [ChannelAttention, RCAB])
@pytest.mark.parametrize("reduction", [0, -1, 9])
def test_a_reduction_without_hidden_channels_is_refused(factory: type[nn.Module], reduction: int) -> None:
    message = (
        f"^ChannelAttention: reduction={reduction} leaves no hidden channel of channels=8; use 1 <= reduction <= 8$"
    )
    with pytest.raises(ValueError, match=message):
        factory(8, reduction=reduction)


@settings(max_examples=15, deadline=None)
@given(channels=st.integers(2, 6), height=SIZES, width=SIZES, res_scale=st.sampled_from([1.0, 0.1]))
def test_rcab_is_a_residual_block_with_channel_attention(
    channels: int, height: int, width: int, res_scale: float
) -> None:
    block = RCAB(channels, reduction=2, res_scale=res_scale).double()
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    hidden = F.conv2d(x, block.conv1.weight, block.conv1.bias, padding=1).relu()
    branch = F.conv2d(hidden, block.conv2.weight, block.conv2.bias, padding=1)
    branch = branch * gates(block.attention, branch)[:, :, None, None]
    torch.testing.assert_close(block(x), x + res_scale * branch, rtol=0, atol=1e-12)


def test_rcab_takes_the_papers_reduction_of_sixteen() -> None:
    assert RCAB(32).attention.squeeze.out_channels == 2
    assert isinstance(RCAB(32), ResidualBlock)


def test_rcab_uses_the_attention_that_it_is_given() -> None:
    asked: list[int] = []
    block = RCAB(2, attention=lambda channels: asked.append(channels) or Rescale(0), act=nn.PReLU)
    x = torch.rand(1, 2, 4, 4)
    assert torch.equal(block(x), x)
    assert asked == [2]
    assert isinstance(block.act, nn.PReLU)


@pytest.mark.parametrize("factory", [ChannelAttention, RCAB])
def test_input_is_left_alone_and_gradients_are_right(factory: type[nn.Module]) -> None:
    module = factory(4, reduction=2).double()
    x = torch.randn(1, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    before = x.detach().clone()
    assert torch.autograd.gradcheck(module, x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("factory", [ChannelAttention, RCAB, partial(RCAB, act=nn.PReLU, res_scale=0.1)])
def test_scripted_it_computes_the_same_at_another_size(factory: partial) -> None:
    module = factory(4, reduction=2)
    scripted = torch.jit.script(module)
    for size in ((4, 4), (3, 8)):
        x = torch.rand(1, 4, *size)
        torch.testing.assert_close(scripted(x), module(x))

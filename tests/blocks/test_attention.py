import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.support import relative_error
from srblocks.blocks import RCAB, ChannelAttention, Rescale, SecondOrderChannelAttention, timm_attention

SIZES = st.integers(1, 7)


def gates(attention: ChannelAttention, x: Tensor) -> Tensor:
    """Return one gate per item and channel, by Eq. (7)-(9) with matrices."""
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
    # Means of 1 and 0.5: a hidden value of 1, gates sigmoid(ln 3) = 3/4 and sigmoid(ln 4) = 4/5.
    x = torch.tensor([[[[0.0, 2.0]], [[1.0, 0.0]]]])
    torch.testing.assert_close(attention(x), torch.tensor([[[[0.0, 1.5]], [[0.8, 0.0]]]]))
    # Negative means: only the biases are left, gates of 1/2 and 4/5.
    torch.testing.assert_close(attention(-x), torch.tensor([[[[0.0, -1.0]], [[-0.8, 0.0]]]]))


@settings(max_examples=10, deadline=None)
@given(channels=st.integers(1, 9), data=st.data(), height=SIZES, width=SIZES)
def test_each_channel_is_scaled_by_its_gate(channels: int, data: st.DataObject, height: int, width: int) -> None:
    attention = ChannelAttention(channels, reduction=data.draw(st.integers(1, channels))).double()
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    torch.testing.assert_close(attention(x), x * gates(attention, x)[:, :, None, None], rtol=0, atol=1e-12)


def test_hidden_channels_are_rounded_down() -> None:
    for channels, reduction, hidden in ((64, 16, 4), (10, 4, 2), (7, 7, 1)):
        attention = ChannelAttention(channels, reduction=reduction)
        assert attention.squeeze.weight.shape == (hidden, channels, 1, 1)
        assert attention.excite.weight.shape == (channels, hidden, 1, 1)


def test_invalid_reductions_raise() -> None:
    for factory in (ChannelAttention, RCAB, SecondOrderChannelAttention):
        name = "ChannelAttention" if factory is RCAB else factory.__name__
        for reduction in (0, -1, 9):
            message = f"^{name}: reduction must be between 1 and channels=8, got {reduction}$"
            with pytest.raises(ValueError, match=message):
                factory(8, reduction=reduction)


@settings(max_examples=10, deadline=None)
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


def test_rcab_default_reduction_matches_the_paper() -> None:
    assert RCAB(32).attention.squeeze.out_channels == 2


def test_rcab_with_another_attention() -> None:
    built_for: list[int] = []
    block = RCAB(2, attention=lambda channels: built_for.append(channels) or Rescale(0), act=nn.PReLU)
    x = torch.rand(1, 2, 4, 4)
    assert torch.equal(block(x), x)
    assert built_for == [2]
    assert isinstance(block.act, nn.PReLU)


def test_second_order_gate_uses_the_square_root_of_the_covariance() -> None:
    block = SecondOrderChannelAttention(6, reduction=2, iterations=20).double()
    x = torch.randn(2, 6, 7, 8, dtype=torch.float64)
    for item, gate in zip(x, block(x) / x, strict=True):
        values, vectors = torch.linalg.eigh(torch.cov(item.flatten(1), correction=0))
        root = vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T
        expected = block.excite(block.squeeze(root.mean(0)[:, None, None]).relu()).sigmoid()
        torch.testing.assert_close(gate, expected.expand_as(gate), rtol=1e-6, atol=1e-8)


def test_second_order_attention_of_a_constant_map_is_finite() -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        block = SecondOrderChannelAttention(4, reduction=2).to(dtype)
        for level in (0.0, 1e-4, 1.0):
            assert block(torch.full((1, 4, 3, 3), level, dtype=dtype)).isfinite().all()
            assert block(level * torch.rand(1, 4, 3, 3).to(dtype)).isfinite().all()


def test_second_order_attention_sums_many_pixels_in_half_precision() -> None:
    block = SecondOrderChannelAttention(4, reduction=2)
    x = 4 * torch.randn(1, 4, 160, 160)  # 25600 squares of 16 on average
    exact = block(x)
    assert relative_error(block.half()(x.half()).float(), exact) < 5e-3


def test_fewer_than_two_iterations_raise() -> None:
    with pytest.raises(ValueError, match=r"^SecondOrderChannelAttention: iterations must be >= 2, got 1$"):
        SecondOrderChannelAttention(16, iterations=1)


def test_timm_attention_in_an_rcab() -> None:
    for name in ("se", "ese", "eca", "cbam", "gc"):
        block = RCAB(32, attention=timm_attention(name)).eval()
        x = torch.randn(1, 32, 6, 7)
        torch.testing.assert_close(block(x), x + block.attention(block.conv2(block.conv1(x).relu())))
        assert type(block.attention).__module__.startswith("timm.")
        torch.testing.assert_close(torch.jit.script(block)(x[..., 1:]), block(x[..., 1:]))


def test_timm_attention_arguments() -> None:
    assert RCAB(32, attention=timm_attention("se", rd_channels=5)).attention.fc1.out_channels == 5
    with pytest.raises(ValueError, match="timm has no attention module 'magic'"):
        timm_attention("magic")

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks.blocks import DepthwiseSeparableConv, PreActivatedConv, conv

SIZES = st.integers(1, 9)
ODD = st.sampled_from([1, 3, 5, 7, 9])


def by_patches(x: Tensor, weight: Tensor, bias: Tensor, groups: int) -> Tensor:
    """Return the convolution as a matrix product over zero-padded patches."""
    batch, _, height, width = x.shape
    side = weight.shape[-1]
    patches = F.unfold(x, side, padding=side // 2).view(batch, groups, -1, height * width)
    kernels = weight.reshape(groups, weight.shape[0] // groups, -1)
    product = torch.einsum("goi,ngip->ngop", kernels, patches)
    return product.reshape(batch, -1, height, width) + bias[:, None, None]


def test_zero_padding() -> None:
    layer = conv(1, 1).requires_grad_(False)
    layer.weight.fill_(1)
    layer.bias.fill_(0.5)
    expected = torch.tensor([[4.5, 6.5, 4.5], [6.5, 9.5, 6.5], [4.5, 6.5, 4.5]])
    assert torch.equal(layer(torch.ones(1, 1, 3, 3))[0, 0], expected)


@settings(max_examples=10, deadline=None)
@given(groups=st.integers(1, 3), into=st.integers(1, 3), out=st.integers(1, 3), side=ODD, height=SIZES, width=SIZES)
def test_conv_equals_a_matrix_product_over_patches(
    *, groups: int, into: int, out: int, side: int, height: int, width: int
) -> None:
    layer = conv(groups * into, groups * out, side, groups=groups).double()
    x = torch.randn(2, groups * into, height, width, dtype=torch.float64)
    y = layer(x)
    assert y.shape == (2, groups * out, height, width)
    torch.testing.assert_close(y, by_patches(x, layer.weight, layer.bias, groups), rtol=0, atol=1e-12)


def test_shifted_kernel_shifts_the_image() -> None:
    layer = conv(1, 1, bias=False).requires_grad_(False)
    layer.weight.zero_()[0, 0, 1, 0] = 1
    assert layer(torch.tensor([[[[1.0, 2.0, 3.0]]]])).flatten().tolist() == [0, 1, 2]


def test_defaults_are_3x3_with_bias_and_one_group() -> None:
    layer = conv(4, 6)
    assert layer.weight.shape == (6, 4, 3, 3)
    assert layer.bias is not None
    assert layer.stride == (1, 1)


def test_conv_without_bias() -> None:
    layer = conv(2, 2, bias=False)
    assert layer.bias is None
    assert not layer(torch.zeros(1, 2, 4, 4)).any()


def test_groups_are_independent() -> None:
    layer = conv(4, 4, groups=2)
    x = torch.rand(1, 4, 5, 5)
    changed = torch.cat((x[:, :2], x[:, 2:] + 1), 1)
    assert torch.equal(layer(x)[:, :2], layer(changed)[:, :2])
    assert not torch.equal(layer(x)[:, 2:], layer(changed)[:, 2:])


def test_invalid_arguments_raise() -> None:
    for side in (0, 2, 8, -1):
        with pytest.raises(ValueError, match=f"^conv: kernel_size must be odd and >= 1 to keep the size, got {side}$"):
            conv(3, 3, side)
    with pytest.raises(ValueError, match="^conv: groups must divide 64 and 64 channels, got groups=3$"):
        conv(64, 64, groups=3)
    with pytest.raises(ValueError, match="^conv: channels must be >= 1, got 0 in and 3 out$"):
        conv(0, 3)


def test_dilation_keeps_the_size() -> None:
    layer = conv(1, 1, 3, bias=False, dilation=2)
    nn.init.ones_(layer.weight)
    x = torch.zeros(1, 1, 7, 7)
    x[0, 0, 3, 3] = 1
    assert layer(x)[0, 0].nonzero().tolist() == [[r, c] for r in (1, 3, 5) for c in (1, 3, 5)]


def test_reflection_padding() -> None:
    layer = conv(1, 1, 3, padding_mode="reflect")
    x = torch.rand(1, 1, 4, 5)
    expected = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected)


def test_separable_convolution_is_depthwise_then_pointwise() -> None:
    layer = DepthwiseSeparableConv(3, 5)
    x = torch.rand(1, 3, 4, 5)
    filtered = torch.cat([F.conv2d(x[:, i : i + 1], layer.depthwise.weight[i : i + 1], padding=1) for i in range(3)], 1)
    torch.testing.assert_close(layer(x), F.conv2d(filtered, layer.pointwise.weight, layer.pointwise.bias))


def test_pre_activated_convolution() -> None:
    layer = PreActivatedConv(3, 2).eval()
    nn.init.normal_(layer.norm.bias)
    x = torch.rand(1, 3, 4, 5)
    torch.testing.assert_close(layer(x), layer.conv(layer.norm(x).relu()))

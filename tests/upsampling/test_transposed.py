from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks.upsampling import DeconvUp

SIZES = st.integers(1, 6)


def assert_equal_in_float64(value: Tensor, reference: Tensor) -> None:
    torch.testing.assert_close(value, reference, rtol=0, atol=1e-12)


def test_kernel_of_the_size_of_the_stride() -> None:
    up = DeconvUp(1, 2, kernel_size=2, bias=False).requires_grad_(False)
    stamp = up.deconv.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))[0, 0]
    x = torch.tensor([[1.0, 10.0]])
    assert torch.equal(up(x[None, None])[0, 0], torch.kron(x, stamp))


@settings(max_examples=25, deadline=None)
@given(scale=st.integers(2, 4), kernel=st.integers(1, 10), padding=st.integers(0, 4), height=SIZES, width=SIZES)
def test_deconvolution_crops_or_extends_at_the_bottom_and_right(
    scale: int, kernel: int, padding: int, height: int, width: int
) -> None:
    build = partial(DeconvUp, 2, scale, out_channels=3, kernel_size=kernel, padding=padding)
    if kernel < scale or kernel <= 2 * padding:
        needed = f"needs kernel_size >= {max(scale, 2 * padding + 1)} and padding >= 0, got kernel_size={kernel}$"
        with pytest.raises(ValueError, match=f"^DeconvUp: scale={scale} with padding={padding} {needed}"):
            build()
        return
    up = build().double()
    x = torch.randn(2, 2, height, width, dtype=torch.float64)
    everything = F.pad(F.conv_transpose2d(x, up.deconv.weight, stride=scale), (0, 2 * scale, 0, 2 * scale))
    inside = everything[:, :, padding : padding + scale * height, padding : padding + scale * width]
    assert_equal_in_float64(up(x), inside + up.deconv.bias[:, None, None])


def test_cropping_equals_a_zero_padded_kernel() -> None:
    up = DeconvUp(3, 2, kernel_size=3, padding=0).double()
    larger = F.pad(up.deconv.weight, (1, 0, 1, 0))
    x = torch.randn(1, 3, 5, 4, dtype=torch.float64)
    assert_equal_in_float64(up(x), F.conv_transpose2d(x, larger, up.deconv.bias, stride=2, padding=1))


@given(scale=st.integers(2, 5), half=st.integers(0, 4))
@settings(max_examples=10, deadline=None)
def test_default_padding_centers_the_kernel(scale: int, half: int) -> None:
    up = DeconvUp(1, scale, kernel_size=scale + 2 * half).double()
    nn.init.ones_(up.deconv.weight)
    x = torch.randn(1, 1, 4, 5, dtype=torch.float64)
    assert_equal_in_float64(up(x.flip(2, 3)), up(x).flip(2, 3))


def test_deconvolution_options_reach_the_layer() -> None:
    up = DeconvUp(4, 3, bias=False, groups=4, act=nn.PReLU)
    assert up.deconv.weight.shape == (4, 1, 6, 6)
    assert up.deconv.bias is None
    x = torch.rand(1, 4, 3, 3)
    assert torch.equal(up(x), F.leaky_relu(up.deconv(x), 0.25))

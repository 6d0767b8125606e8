import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks.init import icnr_
from srblocks.upsampling import DeconvUp, NearestConvUp, PixelShuffleUp
from srblocks.upsampling.scale import prime_factors

SIZES = st.integers(1, 6)
ALL = [PixelShuffleUp, partial(PixelShuffleUp, stepwise=False), NearestConvUp, DeconvUp]


def enlarged(x: Tensor, scale: int) -> Tensor:
    return x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def interleaved(x: Tensor, scale: int) -> Tensor:
    """Pixel shuffle written out: channel c * scale**2 + i * scale + j goes to row phase i and column phase j."""
    batch, channels, height, width = x.shape
    y = x.new_empty(batch, channels // scale**2, scale * height, scale * width)
    for i in range(scale):
        for j in range(scale):
            y[:, :, i::scale, j::scale] = x[:, i * scale + j :: scale**2]
    return y


def conv2d(x: Tensor, layer: nn.Conv2d) -> Tensor:
    return F.conv2d(x, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)


def assert_equal_in_float64(value: Tensor, reference: Tensor) -> None:
    torch.testing.assert_close(value, reference, rtol=0, atol=1e-12)


@given(scale=st.integers(2, 500))
@settings(deadline=None)
def test_steps_are_the_prime_factors_smallest_first(scale: int) -> None:
    steps = prime_factors(scale)
    assert math.prod(steps) == scale
    assert steps == sorted(steps)
    assert all(step % divisor for step in steps for divisor in range(2, step))


@pytest.mark.parametrize("factory", ALL)
@pytest.mark.parametrize("scale", [1, 0, -2])
def test_a_scale_that_enlarges_nothing_is_refused(factory: partial, scale: int) -> None:
    with pytest.raises(ValueError, match=f"^scale={scale} is no enlargement; use an integer of 2 or more$"):
        factory(8, scale)


@pytest.mark.parametrize("factory", ALL)
@settings(max_examples=15, deadline=None)
@given(
    channels=st.integers(1, 3), out=st.none() | st.integers(1, 3), scale=st.integers(2, 6), height=SIZES, width=SIZES
)
def test_output_is_scale_times_the_input(
    *, factory: partial, channels: int, out: int | None, scale: int, height: int, width: int
) -> None:
    y = factory(channels, scale, out_channels=out)(torch.rand(2, channels, height, width))
    assert y.shape == (2, out or channels, scale * height, scale * width)


def test_hand_computed_pixel_shuffle() -> None:
    up = PixelShuffleUp(1, 2, kernel_size=1).requires_grad_(False)
    up[0].weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]).view(4, 1, 1, 1))
    up[0].bias.zero_()
    x = torch.tensor([[1.0, 10.0]])
    assert up(x[None, None])[0, 0].tolist() == [[1, 2, 10, 20], [3, 4, 30, 40]]


def test_pixel_shuffle_steps_through_the_prime_factors() -> None:
    up = PixelShuffleUp(3, 6, out_channels=2, act=nn.ReLU).double()
    first, _, _, second, _, _ = up
    x = torch.randn(1, 3, 4, 3, dtype=torch.float64)
    y = interleaved(conv2d(x, first), 2).clamp(min=0)
    assert_equal_in_float64(up(x), interleaved(conv2d(y, second), 3).clamp(min=0))


def test_pixel_shuffle_in_a_single_step() -> None:
    up = PixelShuffleUp(3, 4, out_channels=2, kernel_size=5, stepwise=False).double()
    x = torch.randn(1, 3, 4, 3, dtype=torch.float64)
    assert up[0].weight.shape == (32, 3, 5, 5)
    assert_equal_in_float64(up(x), interleaved(conv2d(x, up[0]), 4))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_pixel_shuffle_after_icnr_is_an_enlarged_convolution(scale: int) -> None:
    up = PixelShuffleUp(3, scale, out_channels=2, stepwise=False).double()
    nn.init.zeros_(up[0].bias)
    icnr_(up[0].weight, scale)
    x = torch.randn(1, 3, 5, 4, dtype=torch.float64)
    assert_equal_in_float64(up(x), enlarged(F.conv2d(x, up[0].weight[:: scale**2], padding=1), scale))


def test_nearest_up_repeats_pixels_before_each_convolution() -> None:
    up = NearestConvUp(3, 4, out_channels=2, act=nn.ReLU).double()
    _, first, _, _, second, _ = up
    x = torch.randn(1, 3, 4, 3, dtype=torch.float64)
    y = conv2d(enlarged(x, 2), first).clamp(min=0)
    assert_equal_in_float64(up(x), conv2d(enlarged(y, 2), second).clamp(min=0))


def test_a_kernel_as_large_as_the_stride_stamps_every_pixel() -> None:
    up = DeconvUp(1, 2, kernel_size=2, bias=False).requires_grad_(False)
    stamp = up.deconv.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))[0, 0]
    x = torch.tensor([[1.0, 10.0]])
    assert torch.equal(up(x[None, None])[0, 0], torch.kron(x, stamp))


@settings(max_examples=50, deadline=None)
@given(scale=st.integers(2, 4), kernel=st.integers(1, 10), padding=st.integers(0, 4), height=SIZES, width=SIZES)
def test_deconvolution_crops_or_extends_at_the_bottom_and_right(
    scale: int, kernel: int, padding: int, height: int, width: int
) -> None:
    build = partial(DeconvUp, 2, scale, out_channels=3, kernel_size=kernel, padding=padding)
    if kernel < scale or kernel <= 2 * padding:
        message = f"^DeconvUp: kernel_size={kernel} with padding={padding} does not cover scale={scale}; "
        least = max(scale, 2 * padding + 1)
        with pytest.raises(ValueError, match=message + f"use kernel_size >= {least} and padding >= 0$"):
            build()
        return
    up = build().double()
    x = torch.randn(2, 2, height, width, dtype=torch.float64)
    everything = F.pad(F.conv_transpose2d(x, up.deconv.weight, stride=scale), (0, 2 * scale, 0, 2 * scale))
    inside = everything[:, :, padding : padding + scale * height, padding : padding + scale * width]
    assert_equal_in_float64(up(x), inside + up.deconv.bias[:, None, None])


def test_cropping_the_last_row_equals_a_larger_kernel_with_an_empty_first_row() -> None:
    up = DeconvUp(3, 2, kernel_size=3, padding=0).double()
    larger = F.pad(up.deconv.weight, (1, 0, 1, 0))
    x = torch.randn(1, 3, 5, 4, dtype=torch.float64)
    assert_equal_in_float64(up(x), F.conv_transpose2d(x, larger, up.deconv.bias, stride=2, padding=1))


@given(scale=st.integers(2, 5), half=st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_the_default_padding_centres_the_kernel(scale: int, half: int) -> None:
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


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    "factory", [*ALL, partial(DeconvUp, kernel_size=7, padding=0), partial(DeconvUp, act=nn.PReLU)]
)
def test_input_is_left_alone_gradients_are_right_and_the_script_computes_the_same(factory: partial, scale: int) -> None:
    module = factory(2, scale)
    scripted = torch.jit.script(module)
    for size in ((4, 4), (3, 8)):
        x = torch.rand(1, 2, *size)
        torch.testing.assert_close(scripted(x), module(x))
    x = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    before = x.detach().clone()
    assert torch.autograd.gradcheck(module.double(), x)
    assert torch.equal(x, before)

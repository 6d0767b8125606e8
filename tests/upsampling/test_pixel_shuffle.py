import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks.init import icnr_
from srblocks.upsampling import NearestConvUp, PixelShuffleUp
from srblocks.upsampling.scale import prime_factors


def nearest(x: Tensor, scale: int) -> Tensor:
    return x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def interleaved(x: Tensor, scale: int) -> Tensor:
    """Return the pixel shuffle: channel c * scale**2 + i * scale + j goes to row phase i and column phase j."""
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


def test_steps_are_the_prime_factors_smallest_first() -> None:
    for scale in range(2, 200):
        steps = prime_factors(scale)
        assert math.prod(steps) == scale
        assert steps == sorted(steps)
        assert all(step % divisor for step in steps for divisor in range(2, step))


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


def test_icnr_initializes_nearest_neighbor_upsampling() -> None:
    for scale in (2, 3, 4):
        up = PixelShuffleUp(3, scale, out_channels=2, stepwise=False).double()
        nn.init.zeros_(up[0].bias)
        icnr_(up[0].weight, scale)
        x = torch.randn(1, 3, 5, 4, dtype=torch.float64)
        assert_equal_in_float64(up(x), nearest(F.conv2d(x, up[0].weight[:: scale**2], padding=1), scale))


def test_nearest_conv_repeats_pixels_before_each_convolution() -> None:
    up = NearestConvUp(3, 4, out_channels=2, act=nn.ReLU).double()
    _, first, _, _, second, _ = up
    x = torch.randn(1, 3, 4, 3, dtype=torch.float64)
    y = conv2d(nearest(x, 2), first).clamp(min=0)
    assert_equal_in_float64(up(x), conv2d(nearest(y, 2), second).clamp(min=0))

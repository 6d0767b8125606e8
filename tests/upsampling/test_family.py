"""Every upsampler fits the `upsampler` slot of a framework, with one signature."""

from functools import partial

import pytest
import torch
from torch import nn

from srblocks import (
    DeconvUp,
    InterpolateUp,
    LaplacianUp,
    NearestConvUp,
    PixelShuffleUp,
    PostUpsampling,
    UpProjection,
    conv,
)

FAMILY = {
    "pixel shuffle": PixelShuffleUp,
    "direct pixel shuffle": partial(PixelShuffleUp, stepwise=False),
    "icnr": partial(PixelShuffleUp, icnr=True),
    "grouped": partial(PixelShuffleUp, groups=2),
    "transposed convolution": DeconvUp,
    "nearest and convolution": NearestConvUp,
    "bicubic": InterpolateUp,
    "bilinear": partial(InterpolateUp, mode="bilinear"),
    "back-projection": UpProjection,
    "Laplacian pyramid": LaplacianUp,
}


def network(up: partial, scale: int, width: int) -> PostUpsampling:
    return PostUpsampling(
        scale=scale,
        image_channels=3,
        min_size=2,
        head=conv(3, 4),
        body=conv(4, 4),
        upsampler=up(4, scale, out_channels=width, act=nn.Tanh),
        tail=conv(width, 3),
    )


@pytest.mark.parametrize("width", [4, 6])
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("name", FAMILY)
def test_each_takes_the_place_of_any_other(name: str, scale: int, width: int) -> None:
    net = network(FAMILY[name], scale, width)
    scripted = torch.jit.script(net)
    for size in ((2, 2), (5, 7)):
        lr = torch.rand(2, 3, *size)
        assert net(lr).shape == (2, 3, scale * size[0], scale * size[1])
        torch.testing.assert_close(scripted(lr), net(lr))
    net(torch.rand(1, 3, 5, 6)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert all(parameter.grad.any() for parameter in net.parameters())


@pytest.mark.parametrize("name", FAMILY)
def test_a_given_activation_is_there(name: str) -> None:
    assert any(isinstance(module, nn.Tanh) for module in FAMILY[name](4, 2, act=nn.Tanh).modules())


def test_icnr_starts_as_nearest_neighbor() -> None:
    y = PixelShuffleUp(4, 4, icnr=True)(torch.rand(1, 4, 5, 6))
    coarse = y[..., ::2, ::2]
    torch.testing.assert_close(y, coarse.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_channels_change_before_the_interpolation_as_if_behind_it() -> None:
    up = InterpolateUp(3, 2, out_channels=5).double()
    x = torch.rand(1, 3, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(up(x), up.project(InterpolateUp(3, 2).double()(x)))

"""The common signature and behavior of upsamplers."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from srblocks import (
    DeconvUp,
    DownProjection,
    InterpolateUp,
    LaplacianUp,
    NearestConvUp,
    PixelShuffleUp,
    PostUpsampling,
    UpProjection,
    conv,
)

UPSAMPLERS = {
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


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_upsamplers_are_interchangeable_in_a_network(name: str) -> None:
    for scale, width in ((2, 6), (4, 4)):
        net = network(UPSAMPLERS[name], scale, width)
        for size in ((2, 2), (5, 7)):
            lr = torch.rand(2, 3, *size)
            assert net(lr).shape == (2, 3, scale * size[0], scale * size[1]), scale
        if scale == 4:
            torch.testing.assert_close(torch.jit.script(net)(lr), net(lr))
        net(torch.rand(1, 3, 5, 6)).square().sum().backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters()), scale


def test_activation_argument() -> None:
    for up in UPSAMPLERS.values():
        assert any(isinstance(module, nn.Tanh) for module in up(4, 2, act=nn.Tanh).modules())


@settings(max_examples=10, deadline=None)
@given(
    channels=st.integers(1, 3),
    out=st.none() | st.integers(1, 3),
    scale=st.integers(2, 6),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
)
def test_output_size_at_every_scale(*, channels: int, out: int | None, scale: int, height: int, width: int) -> None:
    for up in (PixelShuffleUp, partial(PixelShuffleUp, stepwise=False), NearestConvUp, DeconvUp):
        y = up(channels, scale, out_channels=out)(torch.rand(2, channels, height, width))
        assert y.shape == (2, out or channels, scale * height, scale * width), up


def test_invalid_scales_raise() -> None:
    learned = [PixelShuffleUp, NearestConvUp, DeconvUp, LaplacianUp, UpProjection, DownProjection]
    direct = partial(PixelShuffleUp, stepwise=False)
    for up in (*learned, direct):
        for scale in (0, -2, 1.5) if up is direct else (1, 0, -2, 1.5):
            with pytest.raises(ValueError, match=f"^scale must be an integer >= 2, got {scale}$"):
                up(8, scale)


def test_icnr_initializes_nearest_neighbor_upsampling() -> None:
    y = PixelShuffleUp(4, 4, icnr=True)(torch.rand(1, 4, 5, 6))
    coarse = y[..., ::2, ::2]
    torch.testing.assert_close(y, coarse.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_projection_before_interpolation_equals_projection_after_it() -> None:
    up = InterpolateUp(3, 2, out_channels=5).double()
    x = torch.rand(1, 3, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(up(x), up.project(InterpolateUp(3, 2).double()(x)))

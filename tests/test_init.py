import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from srblocks.init import bilinear_, he_, icnr_


@settings(max_examples=15, deadline=None)
@given(out=st.integers(1, 4), into=st.integers(1, 3), scale=st.integers(1, 4), side=st.sampled_from([1, 3, 5]))
def test_icnr_repeats_one_kernel_per_output_channel(out: int, into: int, scale: int, side: int) -> None:
    drawn: list[torch.Tensor] = []
    weight = torch.empty(out * scale**2, into, side, side)
    result = icnr_(weight, scale, init=lambda kernels: drawn.append(kernels.normal_().clone()))
    assert result is weight
    assert [kernels.shape for kernels in drawn] == [(out, into, side, side)]
    assert torch.equal(weight, drawn[0].repeat_interleave(scale**2, 0))


def test_icnr_defaults_to_he_initialization() -> None:
    weight = icnr_(torch.empty(256 * 4, 64, 3, 3), 2)
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)
    assert weight.abs().max() > 3 * weight.std(), "a uniform distribution has no values that large"
    assert not torch.equal(weight[0], weight[4])


def test_icnr_keeps_the_parameter_trainable() -> None:
    layer = nn.Conv2d(3, 8, 3)
    icnr_(layer.weight, 2)
    assert torch.equal(layer.weight[0], layer.weight[3])
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf


def test_icnr_with_indivisible_channels_raises() -> None:
    message = (
        r"^icnr_: the number of output channels must be divisible by scale\*\*2=4, got 10; pass .* PixelShuffle\(2\)$"
    )
    with pytest.raises(ValueError, match=message):
        icnr_(torch.empty(10, 3, 3, 3), 2)


def test_he_keeps_the_variance_of_gradients_or_features() -> None:
    for options, fan in (({}, 256 * 9), ({"mode": "fan_out"}, 256 * 9), ({"mode": "fan_in"}, 16 * 9)):
        layer = nn.Conv2d(16, 256, 3)
        he_(layer, **options)
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan), rel=0.02), options
        assert layer.weight.abs().max() > 3 * layer.weight.std(), "a uniform distribution has no values that large"
        assert not layer.bias.any(), options


def test_he_only_initializes_convolutions() -> None:
    layers = nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False),
        nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.PReLU()),
        nn.ConvTranspose2d(4, 4, 3),
        nn.Linear(3, 3),
    )
    before = {name: value.clone() for name, value in layers.state_dict().items()}
    he_(layers)
    changed = {name for name, value in layers.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"0.weight", "1.0.weight", "1.0.bias"}
    he_(layers, transposed=True)
    changed = {name for name, value in layers.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"0.weight", "1.0.weight", "1.0.bias", "2.weight", "2.bias"}


def test_he_of_transposed_convolutions() -> None:
    layer = nn.ConvTranspose2d(64, 64, 6)
    he_(layer, mode="fan_in", transposed=True)
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 36)), rel=0.02)
    assert not layer.bias.any()


def test_bilinear_kernel_of_stride_2() -> None:
    profile = torch.tensor([0.25, 0.75, 0.75, 0.25])
    weight = torch.empty(3, 1, 4, 4)
    assert bilinear_(weight) is weight
    assert torch.equal(weight, (profile[:, None] * profile).expand(3, 1, 4, 4))


@settings(max_examples=15, deadline=None)
@given(stride=st.integers(1, 8), channels=st.integers(1, 3))
def test_bilinear_weights_of_every_phase_sum_to_one(stride: int, channels: int) -> None:
    weight = bilinear_(torch.empty(channels, 1, 2 * stride, 2 * stride, dtype=torch.float64))
    phases = weight.view(channels, 2, stride, 2, stride).sum((1, 3))
    torch.testing.assert_close(phases, torch.ones_like(phases), rtol=0, atol=1e-14)


def test_bilinear_deconvolution_interpolates_the_interior() -> None:
    x = torch.rand(1, 2, 5, 4, dtype=torch.float64)
    for stride in (2, 4, 6):
        weight = bilinear_(torch.empty(2, 1, 2 * stride, 2 * stride, dtype=torch.float64))
        y = F.conv_transpose2d(x, weight, stride=stride, padding=stride // 2, groups=2)
        expected = F.interpolate(x, scale_factor=stride, mode="bilinear", align_corners=False)
        assert y.shape == expected.shape
        inside = (..., slice(stride, -stride), slice(stride, -stride))
        torch.testing.assert_close(y[inside], expected[inside], rtol=0, atol=1e-14)


def test_bilinear_keeps_the_parameter_trainable() -> None:
    layer = nn.ConvTranspose2d(2, 2, 4, groups=2)
    bilinear_(layer.weight)
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks.upsampling import DownProjection, UpProjection

SIZES = st.integers(1, 4)
SCALES = st.sampled_from([2, 3, 4, 8])
UNITS = [UpProjection, DownProjection]


class Functional:
    """Eq. (1)-(10) of the paper with the weights of a unit; each layer has a separate PReLU."""

    def __init__(self, unit: UpProjection | DownProjection, scale: int) -> None:
        self.weights = unit.state_dict()
        self.scale = scale

    def _activated(self, y: Tensor, name: str) -> Tensor:
        return torch.where(y > 0, y, self.weights[f"{name}.weight"] * y)

    def _layer(self, name: str) -> tuple[Tensor, Tensor]:
        return self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]

    def squeeze(self, x: Tensor) -> Tensor:
        return self._activated(F.conv2d(x, *self._layer("bottleneck.0")), "bottleneck.1")

    def up(self, x: Tensor, name: str) -> Tensor:
        y = F.conv_transpose2d(x, *self._layer(f"{name}.deconv"), stride=self.scale, padding=2)
        return self._activated(y, f"{name}.act")

    def down(self, x: Tensor, name: str) -> Tensor:
        y = F.conv2d(x, *self._layer(f"{name}.0"), stride=self.scale, padding=2)
        return self._activated(y, f"{name}.1")


def double(unit: nn.Module) -> nn.Module:
    for parameter in unit.double().parameters():
        nn.init.uniform_(parameter, -0.1, 0.3)
    return unit


@settings(max_examples=10, deadline=None)
@given(scale=SCALES, channels=st.integers(1, 4), dense=st.none() | st.integers(1, 6), height=SIZES, width=SIZES)
def test_up_projection_adds_the_upscaled_error(
    scale: int, channels: int, dense: int | None, height: int, width: int
) -> None:
    unit = double(UpProjection(dense or channels, scale, out_channels=channels))
    step = Functional(unit, scale)
    x = torch.randn(2, dense or channels, height, width, dtype=torch.float64)
    low = x if dense in (None, channels) else step.squeeze(x)
    first = step.up(low, "up1")
    error = step.down(first, "down") - low
    y = unit(x)
    assert y.shape == (2, channels, scale * height, scale * width)
    torch.testing.assert_close(y, first + step.up(error, "up2"), rtol=0, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(scale=SCALES, channels=st.integers(1, 4), dense=st.none() | st.integers(1, 6), height=SIZES, width=SIZES)
def test_down_projection_adds_the_downscaled_error(
    scale: int, channels: int, dense: int | None, height: int, width: int
) -> None:
    unit = double(DownProjection(dense or channels, scale, out_channels=channels))
    step = Functional(unit, scale)
    x = torch.randn(2, dense or channels, scale * height, scale * width, dtype=torch.float64)
    high = x if dense in (None, channels) else step.squeeze(x)
    first = step.down(high, "down1")
    error = step.up(first, "up") - high
    y = unit(x)
    assert y.shape == (2, channels, height, width)
    torch.testing.assert_close(y, first + step.down(error, "down2"), rtol=0, atol=1e-12)


def test_hand_computed_up_projection() -> None:
    unit = UpProjection(1, 2)
    with torch.no_grad():
        for name, parameter in unit.named_parameters():
            if parameter.ndim == 4:
                # With padding 2, this tap is on every second pixel: `down` reads the pixels that `up1` wrote.
                parameter.zero_()[0, 0, 2, 2] = 0.5 if name.startswith("down") else 1
            elif name.endswith("bias"):
                parameter.zero_()
    # The error is x/2 - x = -x/2; up2 with a slope of 1/4 returns -x/8: 8 becomes 7.
    assert unit(torch.full((1, 1, 1, 2), 8.0))[0, 0].tolist() == [[7, 0, 7, 0], [0, 0, 0, 0]]


def test_kernels_match_the_paper() -> None:
    for unit in UNITS:
        for scale, kernel in ((2, 6), (3, 7), (4, 8), (8, 12)):
            shapes = [tuple(parameter.shape) for parameter in unit(3, scale).parameters() if parameter.ndim == 4]
            assert shapes == [(3, 3, kernel, kernel)] * 3


def test_bottleneck_and_one_activation_per_layer() -> None:
    for unit in UNITS:
        dense = unit(6, 2, out_channels=2)
        assert dense.bottleneck[0].weight.shape == (2, 6, 1, 1)
        assert sum(isinstance(module, nn.PReLU) for module in dense.modules()) == 4
        assert sum(isinstance(module, nn.PReLU) for module in unit(2, 2).modules()) == 3
        assert sum(isinstance(module, nn.ReLU) for module in unit(6, 2, out_channels=2, act=nn.ReLU).modules()) == 4

from functools import partial

import pytest
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
    """Eq. (1)-(10) of the paper over the weights of a unit, every layer followed by its own PReLU."""

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


@settings(max_examples=25, deadline=None)
@given(scale=SCALES, channels=st.integers(1, 4), dense=st.none() | st.integers(1, 6), height=SIZES, width=SIZES)
def test_up_projection_enlarges_what_its_reduction_lost(
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


@settings(max_examples=25, deadline=None)
@given(scale=SCALES, channels=st.integers(1, 4), dense=st.none() | st.integers(1, 6), height=SIZES, width=SIZES)
def test_down_projection_reduces_what_its_enlargement_lost(
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
                # One tap that a padding of 2 puts on every second pixel, so that `down` reads what `up1` wrote.
                parameter.zero_()[0, 0, 2, 2] = 0.5 if name.startswith("down") else 1
            elif name.endswith("bias"):
                parameter.zero_()
    # The error is x/2 - x, which up2 with its slope of 1/4 makes -x/8: 8 becomes 7.
    assert unit(torch.full((1, 1, 1, 2), 8.0))[0, 0].tolist() == [[7, 0, 7, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("scale,kernel", [(2, 6), (3, 7), (4, 8), (8, 12)])
@pytest.mark.parametrize("unit", UNITS)
def test_kernels_are_the_papers(unit: type[nn.Module], scale: int, kernel: int) -> None:
    shapes = [tuple(parameter.shape) for parameter in unit(3, scale).parameters() if parameter.ndim == 4]
    assert shapes == [(3, 3, kernel, kernel)] * 3


@pytest.mark.parametrize("unit", UNITS)
def test_a_dense_input_is_first_squeezed_and_every_layer_has_its_own_activation(unit: type[nn.Module]) -> None:
    dense = unit(6, 2, out_channels=2)
    assert dense.bottleneck[0].weight.shape == (2, 6, 1, 1)
    assert sum(isinstance(module, nn.PReLU) for module in dense.modules()) == 4
    assert sum(isinstance(module, nn.PReLU) for module in unit(2, 2).modules()) == 3
    assert sum(isinstance(module, nn.ReLU) for module in unit(6, 2, out_channels=2, act=nn.ReLU).modules()) == 4


@pytest.mark.parametrize("unit", UNITS)
def test_a_scale_that_enlarges_nothing_is_refused(unit: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"^scale=1 is no enlargement; use an integer of 2 or more$"):
        unit(4, 1)


@pytest.mark.parametrize("options", [{}, {"out_channels": 3}, {"act": partial(nn.LeakyReLU, 0.1)}])
@pytest.mark.parametrize("unit", UNITS)
def test_input_is_left_alone_gradients_are_right_and_the_script_computes_the_same(
    unit: type[nn.Module], options: dict
) -> None:
    module = unit(2, 2, **options)
    channels = 2
    scripted = torch.jit.script(module)
    for size in ((4, 4), (6, 8)):
        x = torch.rand(1, channels, *size)
        torch.testing.assert_close(scripted(x), module(x))
    x = torch.randn(1, channels, 2, 4, dtype=torch.float64, requires_grad=True)
    before = x.detach().clone()
    assert torch.autograd.gradcheck(double(module), x)
    assert torch.equal(x, before)

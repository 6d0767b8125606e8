"""Peak memory of activations, against what is counted by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks._utils.memory import LiveTensors, peak_bytes

SHAPE = (1, 4, 8, 8)
MAP = 4 * 4 * 8 * 8


class Forward(nn.Module):
    """A module that does what a function says."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.register_buffer("mean", torch.zeros(1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def in_place(net: Forward, x: Tensor) -> Tensor:
    x = net.conv(x)
    return x.relu_().add_(1).clamp_(0, 1)


def doubled(net: Forward, x: Tensor) -> Tensor:
    return torch.cat((x, x), 1)


def views(net: Forward, x: Tensor) -> Tensor:
    parts = x.view(1, 4, 64).transpose(1, 2)[:, 3:].chunk(2, 1)
    return parts[0]


def chained(net: Forward, x: Tensor) -> Tensor:
    for _ in range(5):
        x = net.conv(x)
    return x


def kept(net: Forward, x: Tensor) -> Tensor:
    outputs = [x]
    for _ in range(5):
        outputs.append(net.conv(outputs[-1]))
    return outputs[-1]


def shuffled(net: Forward, x: Tensor) -> Tensor:
    return F.pixel_shuffle(net.conv(x), 2)


def of_parameters(net: Forward, x: Tensor) -> Tensor:
    return x.add_(net.mean[0]).sub_(net.conv.bias.view(1, 4, 1, 1))


@pytest.mark.parametrize(
    ("function", "maps"),
    [
        (lambda net, x: F.relu(net.conv(x)), 3),  # input, convolution, its rectification
        (in_place, 2),
        (doubled, 3),  # input and two maps beside one another
        (views, 1),
        (chained, 3),  # the caller's input, and the two ends of a convolution
        (kept, 6),
        (shuffled, 3),
        (of_parameters, 1),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_peak_activations_are_those_counted_by_hand(function, maps: int) -> None:
    assert peak_bytes(Forward(function), SHAPE) == maps * MAP


def test_peak_activations_follow_shape_and_precision() -> None:
    net = Forward(chained)
    assert peak_bytes(net, (2, 4, 16, 8)) == 4 * 3 * MAP
    assert peak_bytes(net, SHAPE, torch.float16) == 3 * MAP / 2
    assert net.conv.weight.device.type == "cpu"
    assert net.conv.weight.dtype == torch.float32


def test_tensors_stop_to_count_with_their_last_reference() -> None:
    with LiveTensors() as tensors:
        x = torch.zeros(SHAPE, device="meta")
        y = x[:, :1]
        assert tensors.live == MAP
        del x
        assert tensors.live == MAP
        del y
        assert tensors.live == 0
        torch.zeros(SHAPE, device="meta")
    assert (tensors.live, tensors.peak) == (0, MAP)

"""Peak activation memory against values counted by hand."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks._utils.memory import LiveTensors, peak_bytes

SHAPE = (1, 4, 8, 8)
MAP = 4 * 4 * 8 * 8


class Forward(nn.Module):
    """A module with a function as its forward."""

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


def with_parameters(net: Forward, x: Tensor) -> Tensor:
    return x.add_(net.mean[0]).sub_(net.conv.bias.view(1, 4, 1, 1))


def test_peak_activations_equal_hand_counted_ones() -> None:
    for function, maps in (
        (lambda net, x: F.relu(net.conv(x)), 3),  # input, convolution and ReLU
        (in_place, 2),
        (doubled, 3),  # input and two maps
        (views, 1),
        (chained, 3),  # the input of the caller, and input and output of a convolution
        (kept, 6),
        (shuffled, 3),
        (with_parameters, 1),
    ):
        assert peak_bytes(Forward(function), SHAPE) == maps * MAP, function.__name__


def test_peak_activations_depend_on_shape_and_precision() -> None:
    net = Forward(chained)
    assert peak_bytes(net, (2, 4, 16, 8)) == 4 * 3 * MAP
    assert peak_bytes(net, SHAPE, torch.float16) == 3 * MAP / 2
    assert net.conv.weight.device.type == "cpu"
    assert net.conv.weight.dtype == torch.float32


def test_tensors_are_counted_until_their_last_reference() -> None:
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

"""Operations and bytes of small modules, compared with hand counts."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from devices import DEVICES, Device, bounds
from operations import work
from srblocks import create_network, optimize, to_precision
from srblocks.networks import network_spec

SIDE = 8
MAP = 4 * SIDE * SIDE
"""Elements of a feature map of the small modules."""


class Small(nn.Module):
    """Layers and a function that uses them."""

    def __init__(self, function: Callable[["Small", Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.narrow = nn.Conv2d(8, 4, 1, bias=False)
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
        self.deconv = nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, bias=False)
        self.prelu = nn.PReLU(4)
        self.register_buffer("mean", torch.zeros(1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


CONV = 4 * 4 * 9 + 4
"""Elements of the convolution's weight and bias."""


def views(net: Small, x: Tensor) -> Tensor:
    return x.view(4, -1).t().unsqueeze(0).expand(3, -1, -1)[1:].chunk(2, 1)[0].detach()


def buffered(net: Small, x: Tensor) -> Tensor:
    buffer = x.new_empty(1, 8, SIDE, SIDE)
    buffer[:, :4].copy_(x)
    torch.clamp_min(x, 0, out=buffer[:, 4:])
    return net.narrow(buffer)


# Name -> function, operations, MACs, elements moved layer by layer, elements moved with epilogues.
BY_HAND = {
    "conv, ReLU": (lambda net, x: F.relu(net.conv(x)), 2, 144 * 64, 2 * MAP + CONV + 2 * MAP, 2 * MAP + CONV),
    "in place": (lambda net, x: net.conv(x).relu_().mul_(2), 3, 144 * 64, 6 * MAP + CONV, 2 * MAP + CONV),
    "conv, add": (lambda net, x: x + net.conv(x), 2, 144 * 64, 5 * MAP + CONV, 3 * MAP + CONV),
    "conv, add_": (lambda net, x: net.conv(x).add_(x), 2, 144 * 64, 5 * MAP + CONV, 3 * MAP + CONV),
    "conv, bias": (lambda net, x: net.conv(x) - net.mean, 2, 144 * 64, 4 * MAP + CONV + 4, 2 * MAP + CONV + 4),
    "conv, PReLU": (lambda net, x: net.prelu(net.conv(x)), 2, 144 * 64, 4 * MAP + CONV + 4, 2 * MAP + CONV + 4),
    "addcmul": (lambda net, x: torch.addcmul(x, x, net.mean), 1, 0, 3 * MAP + 4, MAP + 4),
    "cat, 1x1": (lambda net, x: net.narrow(torch.cat((x, x), 1)), 2, 32 * 64, 4 * MAP + 3 * MAP + 32, 3 * MAP + 32),
    "buffer": (buffered, 3, 32 * 64, 4 * MAP + 3 * MAP + 32, 3 * MAP + 32),
    "pool": (lambda net, x: x * x.mean((2, 3), keepdim=True), 2, 0, 3 * MAP + 8, 4),
    "shuffle": (lambda net, x: F.pixel_shuffle(x, 2), 1, 0, 2 * MAP, 0),
    "nearest": (lambda net, x: F.interpolate(x, scale_factor=2.0), 1, 0, 5 * MAP, 5 * MAP),
    "views": (views, 0, 0, 0, 0),
    "groups": (lambda net, x: net.grouped(x), 1, 72 * 64, 2 * MAP + 72, 2 * MAP + 72),
    "transposed": (lambda net, x: net.deconv(x), 1, 256 * 64, 5 * MAP + 256, 5 * MAP + 256),
    "matmul": (lambda net, x: x @ x, 1, 4 * 8**3, 3 * MAP, 3 * MAP),
    "expanded": (lambda net, x: net.mean.expand(1, 4, SIDE, SIDE) + 1, 1, 0, MAP + 4, 0),
}


@pytest.mark.parametrize("precision,bytes_each", [("fp32", 4), ("bf16", 2)])
def test_small_modules_match_hand_counts(precision: str, bytes_each: int) -> None:
    for name, (function, operations, macs, layered, epilogue) in BY_HAND.items():
        counted = work(Small(function), (1, 4, SIDE, SIDE), precision)
        assert (counted.operations, counted.macs, counted.flops) == (operations, macs, 2 * macs), name
        slow_memory = bounds(counted, Device("slow memory", {precision: 1e30}, bytes_each))
        assert (slow_memory.layered, slow_memory.epilogue) == (layered, epilogue), name
        assert slow_memory.memory_share == (1.0 if layered else 0.0), name
        slow_core = bounds(counted, Device("slow core", {precision: 2}, 1e30))
        assert (slow_core.layered, slow_core.epilogue, slow_core.fused) == pytest.approx((macs,) * 3, abs=1e-20), name


def test_batch_norm_epilogue_reads_only_its_parameters() -> None:
    conv, norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
    counted = work(nn.Sequential(conv, norm), (1, 4, SIDE, SIDE))
    assert [step.name for step in counted.steps] == ["aten.convolution", "aten.native_batch_norm"]
    assert counted.steps[1].epilogue == 4 * 16
    assert counted.steps[1].read == 4 * (MAP + 16)
    assert counted.steps[1].written in (4 * MAP, 4 * (MAP + 8))  # with its unused statistics


def test_minimal_bytes_count_input_output_and_used_weights_once() -> None:
    assert work(Small(lambda net, x: F.relu(net.conv(net.conv(x)))), (1, 4, 8, 8)).minimal_bytes == 4 * (2 * MAP + CONV)
    assert work(Small(lambda net, x: x + net.mean.view(4, 1, 1)), (2, 4, 8, 8), "bf16").minimal_bytes == 2 * (
        4 * MAP + 4
    )


def test_operation_time_is_the_maximum_of_compute_and_memory() -> None:
    counted = work(Small(lambda net, x: net.conv(x).relu_()), (1, 4, SIDE, SIDE))
    found = bounds(counted, Device("a", {"fp32": 144 * 64}, 4 * 2 * MAP))
    assert found.layered == 2 + 1  # 2 s of compute, then two feature maps
    assert found.epilogue == found.fused == 2
    assert found.memory_share == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", ["edsr_baseline", "memnet"])
def test_optimized_networks_have_lower_bounds(name: str) -> None:
    net = create_network(name, scale=2, **network_spec(name).reduced)
    shape = (1, net.image_channels, 32, 48)
    plain, optimized = (bounds(work(each, shape, "fp16"), DEVICES["h100"]) for each in (net, optimize(net)))
    assert optimized.layered < plain.layered


@pytest.mark.parametrize("name", ["fsrcnn", "edsr_baseline"])
def test_converted_networks_keep_their_dtypes(name: str) -> None:
    net = create_network(name, scale=2, **network_spec(name).reduced)
    shape = (1, net.image_channels, 32, 48)
    for variant in (net, optimize(net)):
        counted, converted = work(variant, shape, "bf16"), work(to_precision(variant, "bf16"), shape, "bf16")
        assert converted.macs == counted.macs
        assert converted.operations == counted.operations + 2  # to bf16 and back
        assert converted.minimal_bytes == counted.minimal_bytes + 2 * 32 * 48 * net.image_channels * (1 + 2**2)


def test_counting_does_not_change_the_network() -> None:
    net = create_network("drrn_b1u9", scale=2)
    before = {name: (tensor, tensor._version) for name, tensor in net.state_dict(keep_vars=True).items()}
    counted = work(net, (1, 1, 270, 480), "fp16")
    assert net.training
    for name, tensor in net.state_dict(keep_vars=True).items():
        assert before[name] == (tensor, tensor._version)
        assert tensor.device.type == "cpu"
        assert tensor.dtype == torch.float32 or not tensor.is_floating_point()
    held = sum(tensor.numel() for tensor in net.state_dict().values() if tensor.is_floating_point())
    kernel = 2**2 * 5**2  # interpolation kernel, a non-persistent buffer
    assert counted.minimal_bytes == 2 * (5 * 270 * 480 + held + kernel)  # recursions share their weights


def test_unsupported_precisions() -> None:
    net = create_network("espcn", scale=2)
    with pytest.raises(ValueError, match=r"unknown precision 'int8'; available: fp32, fp16, bf16"):
        work(net, (1, 1, 8, 8), "int8")
    with pytest.raises(ValueError, match="was converted to another precision"):
        work(to_precision(net, "bf16"), (1, 1, 8, 8), "fp16")

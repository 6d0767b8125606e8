"""Roofline bounds of the published networks and of the registry."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from devices import DEVICES, Bounds, Device, bounds, measured_cpu
from operations import Work, work
from srblocks import RRDB, DeconvUp, DenseBlock, NearestConvUp, Network, PostUpsampling, create_network, optimize
from srblocks.registry import NetworkSpec

HD, FULL_HD = (720, 1280), (1080, 1920)
PLAIN = {"mean_shift": False, "value_range": 1.0}
"""The published values are for networks without mean shift and value range."""


class Interpolated(nn.Module):
    """A pre-upsampling network after PyTorch's bicubic interpolation, a single operation."""

    def __init__(self, net: Network, scale: int = 2) -> None:
        super().__init__()
        self.image_channels = net.image_channels
        self.upsampler = nn.Upsample(scale_factor=scale, mode="bicubic")
        self.net = net

    def forward(self, lr: Tensor) -> Tensor:
        return self.net(self.upsampler(lr))


class ReconstructedOnce(nn.Module):
    """MemNet that reconstructs the last memory only."""

    image_channels = 1

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        memories = [self.net.head(image)]
        for block in self.net.body:
            memories.append(block(memories))
        return image + self.net.tail(self.net.act(self.net.norms[-1](memories[-1])))


def interpolated(name: str, **arguments: object) -> nn.Module:
    return Interpolated(create_network(name, scale=1, **arguments))


def memnet() -> nn.Module:
    return Interpolated(ReconstructedOnce(create_network("memnet", scale=1)))


def esrgan() -> nn.Module:
    act = partial(nn.LeakyReLU, 0.2)
    layer = partial(nn.Conv2d, kernel_size=3, padding=1)
    return PostUpsampling(
        scale=4,
        image_channels=3,
        head=layer(3, 64),
        body=nn.Sequential(*(RRDB(64) for _ in range(23)), layer(64, 64)),
        long_skip=True,
        upsampler=NearestConvUp(64, 4, act=act),
        tail=nn.Sequential(layer(64, 64), act(), layer(64, 3)),
    )


class Chained(nn.Module):
    """Consecutive dense blocks whose outputs are concatenated."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        dense = partial(DenseBlock, 128, growth=16, depth=8, dense_input=False, keep_input=False)
        self.blocks = nn.ModuleList(dense() for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for block in self.blocks:
            outputs.append(block(outputs[-1]))
        return torch.cat(outputs, 1)


def srdensenet() -> nn.Module:
    """The published SRDenseNet: no dense connections between its blocks, 4x4 transposed convolutions."""
    layer = partial(nn.Conv2d, kernel_size=3, padding=1)
    up = partial(DeconvUp, 256, 2, out_channels=256, kernel_size=4, act=nn.ReLU)
    return PostUpsampling(
        scale=4,
        image_channels=1,
        head=nn.Sequential(layer(1, 128), nn.ReLU()),
        body=nn.Sequential(Chained(8), nn.Conv2d(9 * 128, 256, 1), nn.ReLU()),
        upsampler=nn.Sequential(up(), up()),
        tail=layer(256, 1),
    )


def named(name: str, scale: int, **arguments: object) -> Callable[[], nn.Module]:
    return partial(create_network, name, scale=scale, **arguments)


@dataclass(frozen=True)
class Row:
    """Published values of a network in fp16 on an H100 with 790 TFLOP/s and 3.0 TB/s.

    Attributes:
        build: builds the network.
        scale: upscaling factor.
        gmacs: giga-MACs at 1280x720.
        fused: microseconds.
        epilogue: microseconds.
        layered: microseconds.
        operations: number of operations; for SRResNet and MemNet 33 and 80 less than published, where the unused
            tensor that each batch normalization allocates counts as one.
        full_hd: microseconds with epilogues at 1920x1080.
        memory_share: fraction of the layered time in memory-bound operations.
    """

    build: Callable[[], nn.Module]
    scale: int
    gmacs: float
    fused: float
    epilogue: float
    layered: float
    operations: int
    full_hd: float | None = None
    memory_share: float | None = None


# LapSRN has 4x4 transposed convolutions, where the authors' has 3x3; the eight blocks of SRDenseNet copied their input.
PUBLISHED = {
    "edsr_baseline-x2": Row(named("edsr_baseline", 2, **PLAIN), 2, 316.2, 801, 1014, 1742, 70, 2282, 0.54),
    "edsr_baseline-x4": Row(named("edsr_baseline", 4, **PLAIN), 4, 114.2, 289, 370, 631, 72, 833),
    "rcan-x2": Row(named("rcan", 2, **PLAIN), 2, 3526.8, 8929, 11049, 25107, 2026, 24861, 0.64),
    "rcan-x4": Row(named("rcan", 4, **PLAIN), 4, 916.9, 2321, 2879, 6472, 2028, 6478),
    "rdn-x2": Row(named("rdn", 2), 2, 5096.2, 12902, 14473, 31559, 425, 32565),
    "rdn-x4": Row(named("rdn", 4), 4, 1309.2, 3314, 3736, 8086, 427, 8404),
    "srresnet-x2": Row(named("srresnet", 2), 2, 332.2, 841, 1014, 2489, 138 - 33, 2282),
    "srresnet-x4": Row(named("srresnet", 4), 4, 127.8, 323, 370, 896, 141 - 33, 833),
    "espcn-x2": Row(named("espcn", 2, image_channels=3), 2, 6.1, 16, 32, 65, 6, 72, 1),
    "espcn-x4": Row(named("espcn", 4, image_channels=3), 4, 2.1, 5, 9, 20, 6, 21),
    "fsrcnn-x2": Row(named("fsrcnn", 2), 2, 2.9, 7, 54, 106, 15, 121),
    "fsrcnn-x4": Row(named("fsrcnn", 4), 4, 0.7, 2, 14, 27, 15, 31),
    "vdsr-x2": Row(partial(interpolated, "vdsr"), 2, 612.6, 1551, 1629, 3125, 41, 3666, 0.5),
    "carn-x2": Row(named("carn", 2, mean_shift=False), 2, 222.8, 564, 1085, 2717, 86, 2441),
    "carn-x4": Row(named("carn", 4, mean_shift=False), 4, 90.9, 230, 388, 953, 89, 873, 0.79),
    "srcnn-x2": Row(partial(interpolated, "srcnn"), 2, 52.7, 133, 180, 298, 6),
    "rrdb23-x4": Row(esrgan, 4, 1032.6, 2614, 3177, 7994, 1093),
    "drrn_b1u9-x2": Row(partial(interpolated, "drrn_b1u9", norm=False), 2, 2448.2, 6198, 7060, 11467, 51),
    "memnet-x2": Row(memnet, 2, 2662.3, 6740, 10167, 37932, 364 - 80),
    "lapsrn-x4": Row(named("lapsrn", 4, upconv_kernel=4), 4, 125.7, 318, 384, 735, 52),
    "dbpn-x4": Row(named("dbpn", 4), 4, 681.6, 1726, 3523, 8940, 140),
    "srdensenet-x4": Row(srdensenet, 4, 359.4, 910, 1198, 2211 - 8 * 9.83, 202 - 8),
}
ROUNDED = partial(pytest.approx, abs=0.505)
"""Times are published as whole microseconds."""


def counted(row: Row, output: tuple[int, int]) -> Work:
    with torch.device("meta"):
        net = row.build()
    height, width = (side // row.scale for side in output)
    return work(net, (1, net.image_channels, height, width), "fp16")


def microseconds(found: Bounds) -> tuple[float, float, float]:
    return 1e6 * found.fused, 1e6 * found.epilogue, 1e6 * found.layered


DEEP = ("rcan-x2", "rcan-x4", "rdn-x2", "rdn-x4", "rrdb23-x4")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in DEEP else ()) for name in PUBLISHED]
)
def test_published_networks(name: str) -> None:
    row = PUBLISHED[name]
    total = counted(row, HD)
    found = bounds(total, DEVICES["h100"])
    assert total.macs / 1e9 == pytest.approx(row.gmacs, abs=0.0505)
    assert total.operations == row.operations
    assert microseconds(found) == ROUNDED((row.fused, row.epilogue, row.layered))
    assert row.memory_share is None or found.memory_share == pytest.approx(row.memory_share, abs=0.006)
    if row.full_hd:
        assert 1e6 * bounds(counted(row, FULL_HD), DEVICES["h100"]).epilogue == ROUNDED(row.full_hd)


@pytest.mark.parametrize(
    "scale,gmacs,fused,epilogue,layered",
    [(2, 285.1, 722, 899, 1551), pytest.param(4, 74.6, 189, 233, 399, marks=pytest.mark.slow)],
)
def test_published_tail_collapse(scale: int, gmacs: float, fused: float, epilogue: float, layered: float) -> None:
    """The published values are for the interior alone; here borders are computed and concatenated as well."""
    net = optimize(create_network("edsr_baseline", scale=scale, **PLAIN))
    total = work(net, (1, 3, HD[0] // scale, HD[1] // scale), "fp16")
    found = microseconds(bounds(total, DEVICES["h100"]))
    assert total.macs / 1e9 == pytest.approx(gmacs, rel=1e-3)
    assert found[:2] == ROUNDED((fused, epilogue))
    concatenated = sum(step.bytes for step in total.steps if step.name == "aten.cat") / DEVICES["h100"].bandwidth
    assert found[2] - 1e6 * concatenated == pytest.approx(layered, rel=1e-3)


def test_mean_shift_and_value_range_add_little() -> None:
    """At 1280x720, two MeanShifts and two Rescales of EDSR take 4.5 us with epilogues, 9 us layer by layer."""
    total = work(create_network("edsr_baseline", scale=2), (1, 3, 360, 640), "fp16")
    assert microseconds(bounds(total, DEVICES["h100"])) == pytest.approx((801, 1014 + 4.6, 1742 + 9), abs=1)


@pytest.mark.one_of_each_class
def test_bounds_of_every_network_are_ordered(spec: NetworkSpec) -> None:
    scale = spec.default_scale
    with torch.device("meta"):
        net = spec.create(scale=scale, **spec.reduced)
    for precision, side in (("fp32", spec.size_requirements[scale].min_size), ("fp16", 48)):
        total = work(net, (1, spec.image_channels, side, side), precision)
        assert total.macs > 0
        for device in DEVICES.values():
            found = bounds(total, device, precision)
            assert 0 < found.fused <= found.epilogue * (1 + 1e-9) <= found.layered * (1 + 2e-9), device
            assert 0 <= found.memory_share <= 1


def test_precision_must_match_the_work_and_the_device() -> None:
    total = work(create_network("espcn", scale=2), (1, 1, 8, 8), "bf16")
    with pytest.raises(ValueError, match="NVIDIA T4: no FLOP/s in bf16; available: fp32, fp16"):
        bounds(total, DEVICES["t4"])
    with pytest.raises(ValueError, match="precision='fp16', but the work was counted in bf16"):
        bounds(total, DEVICES["t4"], "fp16")


def test_invalid_devices() -> None:
    for flops, bandwidth, message in (
        ({"fp8": 1e12}, 1e9, "toy: expected FLOP/s for fp32, fp16, bf16, got 'fp8'"),
        ({}, 1e9, "got nothing"),
        ({"fp16": 0.0}, 1e9, "toy: fp16=0 must be positive"),
        ({"fp16": float("nan")}, 1e9, "toy: fp16=nan must be positive"),
        ({"fp16": 1e12}, -1.0, "toy: bandwidth=-1 must be positive"),
    ):
        with pytest.raises(ValueError, match=message):
            Device("toy", flops, bandwidth)


def test_measured_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.SECONDS", 0.0)
    threads = torch.get_num_threads()
    device = measured_cpu(1, ("fp32",))
    assert torch.get_num_threads() == threads
    assert list(device.flops) == ["fp32"]
    assert 1e8 < device.flops["fp32"] < 1e14
    assert 1e8 < device.bandwidth < 1e13
    assert device.name.endswith(", 1 thread")
    with pytest.raises(ValueError, match="threads must be >= 1, got 0"):
        measured_cpu(0)
    with pytest.raises(ValueError, match="unknown precision 'int8'"):
        measured_cpu(1, ("int8",))

"""Device specifications and the roofline bounds of a network on them."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import nn

import environment
from operations import Work
from srblocks.precision import PRECISIONS

TERA, GIGA = 1e12, 1e9
SECONDS = 0.25
"""Duration of each CPU measurement."""


@dataclass(frozen=True)
class Device:
    """Peak performance of a device.

    Attributes:
        name: name of the device.
        flops: precision ("fp32", "fp16", "bf16") -> FLOP/s, 2 FLOPs per multiply-accumulate.
        bandwidth: memory bandwidth in bytes per second, reads plus writes.

    Raises:
        ValueError: an unknown precision, no precision, or a value that is not positive.
    """

    name: str
    flops: Mapping[str, float]
    bandwidth: float

    def __post_init__(self) -> None:
        """Validate the values."""
        if not self.flops or not PRECISIONS.keys() >= self.flops.keys():
            given = ", ".join(map(repr, self.flops)) or "nothing"
            raise ValueError(f"{self.name}: expected FLOP/s for {', '.join(PRECISIONS)}, got {given}")
        for what, value in {**self.flops, "bandwidth": self.bandwidth}.items():
            if not value > 0:
                raise ValueError(f"{self.name}: {what}={value:g} must be positive")


@dataclass(frozen=True)
class Bounds:
    """Lower bounds on the runtime in seconds, for three degrees of fusion.

    Data that stays in a cache between operations can be faster than `layered` and `epilogue`.

    Attributes:
        layered: every operation separately, from and to memory.
        epilogue: pointwise operations fused into the convolution, matrix product or interpolation before them; they
            take only the time to read their operands other than the largest; concatenations take none.
        fused: the entire network in one kernel: all FLOPs, or the traffic of input, output and weights.
        memory_share: fraction of `layered` spent in memory-bound operations.
    """

    layered: float
    epilogue: float
    fused: float
    memory_share: float


def bounds(work: Work, device: Device, precision: str | None = None) -> Bounds:
    """Return the roofline bounds of counted work on a device.

    Args:
        work: result of `operations.work`.
        device: the device.
        precision: expected precision of the work; None for any.

    Raises:
        ValueError: the work was counted at another precision, or the device has no FLOP/s for it.
    """
    precision = precision or work.precision
    if precision != work.precision:
        raise ValueError(f"precision={precision!r}, but the work was counted in {work.precision}")
    if precision not in device.flops:
        raise ValueError(f"{device.name}: no FLOP/s in {precision}; available: {', '.join(device.flops)}")
    peak, bandwidth = device.flops[precision], device.bandwidth
    layered = epilogue = waiting = 0.0
    for step in work.steps:
        computing, moving = step.flops / peak, step.bytes / bandwidth
        layered += max(computing, moving)
        epilogue += max(computing, step.epilogue / bandwidth)
        waiting += moving if moving > computing else 0.0
    fused = max(work.flops / peak, work.minimal_bytes / bandwidth)
    return Bounds(layered, epilogue, fused, waiting / layered if layered else 0.0)


def _nvidia(name: str, fp32: float, fp16: float, bf16: float | None, bandwidth: float) -> Device:
    """Create a device from TFLOP/s and GB/s."""
    found = {"fp32": fp32, "fp16": fp16} | ({"bf16": bf16} if bf16 else {})
    return Device(name, {precision: value * TERA for precision, value in found.items()}, bandwidth * GIGA)


# Values from NVIDIA's data sheets: fp32 without tensor cores and TF32, half precisions on dense tensor cores (half of
# the values "with sparsity").
DEVICES = {
    # Used for the published bounds; the data sheet has 989.5 TFLOP/s in half precision and 3.35 TB/s.
    "h100": _nvidia("NVIDIA H100 SXM", 67, 790, 790, 3000),
    "h100-sxm": _nvidia("NVIDIA H100 SXM, data sheet", 67, 989.5, 989.5, 3350),
    "h200": _nvidia("NVIDIA H200 SXM", 67, 989.5, 989.5, 4800),
    "a100": _nvidia("NVIDIA A100 SXM 80 GB", 19.5, 312, 312, 2039),
    "l4": _nvidia("NVIDIA L4", 30.3, 121, 121, 300),
    # Turing has no bf16. Bandwidth of 256 bits at 10 Gbit/s; the data sheet says 300 GB/s.
    "t4": _nvidia("NVIDIA T4", 8.1, 65, None, 320),
    # Ada architecture white paper, appendix A; fp16 is accumulated in fp16, at half that speed in fp32.
    "rtx4090": _nvidia("NVIDIA GeForce RTX 4090", 82.6, 330.3, 165.2, 1008),
}
"""Devices by short name."""
_CUDA_NAMES = {
    "NVIDIA H100 80GB HBM3": "h100-sxm",
    "NVIDIA H200": "h200",
    "NVIDIA A100-SXM4-80GB": "a100",
    "NVIDIA L4": "l4",
    "Tesla T4": "t4",
    "NVIDIA GeForce RTX 4090": "rtx4090",
}


def from_cuda_name(name: str) -> Device | None:
    """Return the device with this CUDA name; None for others, including slower cards with the same chip."""
    return DEVICES[_CUDA_NAMES[name]] if name in _CUDA_NAMES else None


def measured_cpu(threads: int, precisions: Collection[str] = ("fp32", "bf16")) -> Device:
    """Measure the peak performance that PyTorch reaches on this CPU, a quarter of a second per value.

    The peak is the faster of a 1024x1024 matrix product and a 3x3 convolution of 64 channels in channels_last on
    128x128 pixels; the bandwidth is that of copying 256 MiB, reads plus writes. Other backends may reach more, and a
    busy machine reaches less.

    Args:
        threads: number of PyTorch threads; restored afterwards.
        precisions: precisions to measure.

    Raises:
        ValueError: an unknown precision, or fewer than one thread.
    """
    if threads < 1:
        raise ValueError(f"threads must be >= 1, got {threads}")
    if unknown := sorted(set(precisions) - PRECISIONS.keys()):
        raise ValueError(f"unknown precision {unknown[0]!r}; available: {', '.join(PRECISIONS)}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            flops = {precision: _peak(PRECISIONS[precision]) for precision in precisions}
            source = torch.ones(2**26)
            target = torch.empty_like(source)
            bandwidth = 2 * source.nbytes / _fastest(lambda: target.copy_(source))
    finally:
        torch.set_num_threads(before)
    return Device(f"{environment.cpu()['name']}, {threads} thread{'s' * (threads > 1)}", flops, bandwidth)


def _peak(dtype: torch.dtype) -> float:
    left, right = torch.rand(2, 1024, 1024).to(dtype)
    layer = nn.Conv2d(64, 64, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
    images = torch.rand(1, 64, 128, 128).to(dtype).to(memory_format=torch.channels_last)
    product = 2 * left.numel() * right.shape[1] / _fastest(lambda: left @ right)
    convolution = 2 * layer.weight.numel() * images[0, 0].numel() / _fastest(lambda: layer(images))
    return max(product, convolution)


def _fastest(run: Callable[[], object]) -> float:
    """Return the seconds of the fastest run within `SECONDS`, after one warm-up."""
    run()
    found = []
    end = time.perf_counter() + SECONDS
    while not found or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)

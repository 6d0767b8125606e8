"""CUDA measurements: settings, CUDA graphs, event timing, device memory.

The L2 cache is overwritten between runs. Device time is measured between two CUDA events around a run whose inputs and
outputs stay on the device; the run is enqueued while the device still overwrites the cache, so launch overhead counts
only where it exceeds that. Wall time is measured from an idle device until it is done. End-to-end time is wall time
including the transfers from and to pinned host memory.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DEVICE = "cuda"
WARM_UP = 10
ROUNDS = 50
FLUSH_BYTES = 256 * 2**20

Run = Callable[[], Tensor]


def prepare(*, tf32: bool) -> None:
    """Apply the settings of all runs, including the reference.

    Raises:
        SystemExit: no CUDA device is available.
    """
    if not torch.cuda.is_available():
        raise SystemExit("--device cuda: PyTorch finds no CUDA device; remove the option to measure on the CPU")
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch._dynamo.config.recompile_limit = 64


def captured(run: Run) -> Run:
    """Capture `run` as a CUDA graph and return its replay."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = run()

    def replay() -> Tensor:
        graph.replay()
        return output

    return replay


def used_bytes() -> int:
    """Return the used device memory without PyTorch's cache."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    return total - free


def reached_bytes() -> int:
    """Return the used device memory including the blocks that PyTorch cached since `used_bytes`."""
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    return total - free


@dataclass(frozen=True)
class Clock:
    """Timer for runs; `flush` overwrites the L2 cache before each."""

    flush: Tensor
    start: torch.cuda.Event
    end: torch.cuda.Event

    @classmethod
    def new(cls) -> "Clock":
        """Create a timer for the current device."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        return cls(torch.empty(FLUSH_BYTES, dtype=torch.uint8, device=DEVICE), start, end)

    def device_and_wall(self, run: Run) -> tuple[float, float]:
        """Return device milliseconds of one run and wall milliseconds of another."""
        self.flush.zero_()
        self.start.record()
        run()
        self.end.record()
        torch.cuda.synchronize()
        return self.start.elapsed_time(self.end), self.wall(run)

    def wall(self, run: Run) -> float:
        """Return wall milliseconds of one run until the device is done."""
        self.flush.zero_()
        torch.cuda.synchronize()
        clock = time.perf_counter()
        run()
        torch.cuda.synchronize()
        return 1000 * (time.perf_counter() - clock)


def with_transfers(run: Run, images: Tensor, output: Tensor) -> Run:
    """Return a run that includes the transfers from and to pinned host memory.

    Args:
        run: a run that reads `images` on the device.
        images: its input tensor.
        output: a host tensor with the shape of its output.
    """
    source, target = images.cpu().pin_memory(), torch.empty_like(output).pin_memory()

    def transfer_and_run() -> Tensor:
        images.copy_(source, non_blocking=True)
        return target.copy_(run(), non_blocking=True)

    return transfer_and_run

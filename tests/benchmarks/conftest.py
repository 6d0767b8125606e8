"""A fake of the CUDA features that the benchmarks use."""

from collections.abc import Iterator

import pytest
import torch

import cuda_timing


class FakeCuda:
    """CUDA event, stream or graph."""

    def __init__(self, **options: object) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *exception: object) -> None: ...

    def record(self) -> None: ...

    def elapsed_time(self, end: "FakeCuda") -> float:
        return 2.0

    def replay(self) -> None: ...

    def wait_stream(self, stream: object) -> None: ...


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the CPU pose as a CUDA device; every memory query reports 10^5 fewer free bytes."""
    for name in ("Event", "CUDAGraph", "Stream"):
        monkeypatch.setattr(torch.cuda, name, FakeCuda)
    for name in ("graph", "stream"):
        monkeypatch.setattr(torch.cuda, name, lambda target: FakeCuda())
    monkeypatch.setattr(torch.cuda, "current_stream", FakeCuda)
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    free = iter(range(10**9, 0, -(10**5)))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (next(free), 10**10))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    for name, value in {"DEVICE": "cpu", "FLUSH_BYTES": 8}.items():
        monkeypatch.setattr(cuda_timing, name, value)
    flags = [(torch.backends.cudnn, "benchmark"), (torch.backends.cudnn, "allow_tf32")]
    flags += [(torch.backends.cuda.matmul, "allow_tf32"), (torch._dynamo.config, "recompile_limit")]
    before = [getattr(settings, flag) for settings, flag in flags]
    yield
    for (settings, flag), value in zip(flags, before, strict=True):
        setattr(settings, flag, value)

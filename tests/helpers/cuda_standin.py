"""Fake CUDA on the CPU, as far as running an engine needs it, and exports of engines with it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from helpers import tensorrt_standin
from helpers.support import filled
from helpers.tensorrt_standin import Standin
from srblocks import create_network
from srblocks.network import Network
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats.tensorrt import runner as trt_runner
from srblocks_export.report import ArtifactReport
from srblocks_export.verification import worker
from srblocks_export.verification.process import Worker


class Stream:
    """Fake CUDA stream: logs its waits and knows the current stream."""

    log: ClassVar[list[tuple[Any, ...]]] = []
    stack: ClassVar[list["Stream"]] = []

    def __init__(self, handle: int = 99) -> None:
        self.cuda_stream = handle

    def wait_stream(self, other: "Stream") -> None:
        self.log.append((self.cuda_stream, "waits for", other.cuda_stream))

    def wait_event(self, event: "Event") -> None:
        self.log.append((self.cuda_stream, "waits for the call on", event.recorded))

    @classmethod
    @contextlib.contextmanager
    def current(cls, stream: "Stream") -> Iterator[None]:
        cls.stack.append(stream)
        try:
            yield
        finally:
            cls.stack.pop()


class Event:
    """Fake CUDA event: knows the stream it was recorded on."""

    recorded: int | None = None

    def record(self, stream: Stream) -> None:
        self.recorded = stream.cuda_stream


class Graph:
    """Fake CUDA graph: replays the captured calls."""

    def __init__(self) -> None:
        self.work: list[Any] = []

    def replay(self) -> None:
        for compute in self.work:
            compute()


def imitate(monkeypatch: pytest.MonkeyPatch, major: str, stream: int = 7) -> Standin:
    """Install fake TensorRT and CUDA; verification runs in this process."""
    standin = tensorrt_standin.install(monkeypatch, major)
    Stream.log.clear()
    Stream.stack[:] = [Stream(stream)]

    @contextlib.contextmanager
    def capture(graph: Graph, *, stream: Stream, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        standin.capturing = graph.work
        with Stream.current(stream):
            try:
                yield
            finally:
                standin.capturing = None
                if "not_captured" in standin.faults:
                    raise RuntimeError("operation failed due to a previous error during capture")

    def set_stream(stream: Stream) -> None:
        Stream.stack[-1] = stream

    standin.current = lambda: Stream.stack[-1].cuda_stream
    monkeypatch.setattr(trt_runner, "_ALIGNMENT", 64)  # alignment of torch's CPU memory
    monkeypatch.setattr(trt_runner, "on_device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream.stack[-1])
    monkeypatch.setattr(torch.cuda, "set_stream", set_stream)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "stream", Stream.current)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(Worker, "_ask", lambda self, request: worker.check(request))
    return standin


def small_network() -> Network:
    return filled(create_network("espcn", scale=3))


def export_engine(folder: Path, **options: Any) -> list[ArtifactReport]:
    """Export `small_network` to an ONNX file and an engine for up to 2 images of 40x40."""
    request = ExportConfig(**{"formats": ("trt",), "out": folder, "maximum": (2, 1, 40, 40)} | options)
    return export_network(small_network(), request)

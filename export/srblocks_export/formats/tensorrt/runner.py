"""Execution of engines on torch tensors, without copies and on the caller's stream."""

import contextlib
import threading
import weakref
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srblocks._utils.files import atomic_path

from ...errors import ExportError, first_line
from .trt_engine import Library, library_logger

# Required alignment of addresses in bytes; fresh tensors of torch have it, slices may not.
_ALIGNMENT = 256


class Engine:
    """An engine with one execution context; concurrent calls from several threads or streams wait for each other.

    Args:
        plan: the serialized engine.
        library: the library that built it.
        version_compatible: the plan was built version-compatible; it contains code that must be allowed to run.
        cuda_graph: capture a CUDA graph per shape, and replay it while the shape stays the same.
        reuse_output: return the same tensor while the shape stays the same, instead of a new one.
        cache: file for the kernels that the library compiles when the engine runs, if it does; read now, and written
            when the engine is deleted or the process ends.

    Attributes:
        device: the current CUDA device, where the engine runs.

    Raises:
        ExportError: E801, TensorRT cannot load the plan; E702, too little memory to run it.
    """

    def __init__(
        self,
        plan: bytes,
        library: Library,
        *,
        version_compatible: bool,
        cuda_graph: bool,
        reuse_output: bool,
        cache: Path | None = None,
    ) -> None:
        trt = library.load()
        self.device = current_device()
        self._title, self._logger = library.title, library_logger(trt)
        self._logger.forget()
        self._runtime = trt.Runtime(self._logger)
        if version_compatible:
            self._runtime.engine_host_code_allowed = True
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            cause = f"{self._title} cannot load the engine: {self._logger.reason}"
            raise ExportError(801, cause, "build it again here")
        self._captures, self._captures_itself = cuda_graph, False
        self._context = self._new_context(trt, cache)
        if self._context is None:
            raise ExportError(
                702, f"too little memory to run the engine: {self._logger.reason}", "build it with a smaller --max"
            )
        names = [self._engine.get_tensor_name(number) for number in range(self._engine.num_io_tensors)]
        modes = {name: self._engine.get_tensor_mode(name) for name in names}
        (self._input,) = (name for name in names if modes[name] == trt.TensorIOMode.INPUT)
        (self._output,) = (name for name in names if modes[name] == trt.TensorIOMode.OUTPUT)
        self._reuses = reuse_output
        self._shape: tuple[int, ...] = ()
        self._lr = self._sr = torch.empty(0)
        self._graph: Any = None
        self._lock = threading.Lock()
        with on_device(self.device):
            self._side, self._done = torch.cuda.Stream(), torch.cuda.Event()

    def _new_context(self, trt: Any, cache_file: Path | None) -> Any:
        """Create the context; TensorRT for RTX compiles kernels while it runs, and captures CUDA graphs itself."""
        config: Any = self._engine.create_runtime_config() if hasattr(self._engine, "create_runtime_config") else None
        if not hasattr(config, "create_runtime_cache"):
            return self._engine.create_execution_context()
        if cache_file:
            cache = config.create_runtime_cache()
            if cache_file.is_file():
                cache.deserialize(cache_file.read_bytes())  # one of another GPU or version is not used
            config.set_runtime_cache(cache)
            weakref.finalize(self, _save_cache, cache, cache_file)
        if self._captures:
            config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
            self._captures_itself = True
        return self._engine.create_execution_context(config)

    def __call__(self, lr: Tensor) -> Tensor:
        """Upscale images on the device, float32, N x C x H x W.

        Raises:
            ExportError: E702, TensorRT rejects the shape or fails to run.
        """
        with self._lock, torch.inference_mode(), on_device(self.device), self._stream() as stream:
            self._logger.forget()
            lr = lr.resolve_neg().contiguous()
            if self._shape != tuple(lr.shape):
                self._set_shape(lr)
            if self._captures:
                return self._replay(lr, stream)
            sr = self._sr if self._reuses else torch.empty_like(self._sr)
            self._enqueue(lr if lr.data_ptr() % _ALIGNMENT == 0 else lr.clone(), sr, stream)
            return sr

    def _set_shape(self, lr: Tensor) -> None:
        """Set a new input shape and allocate the output."""
        self._shape, self._graph = (), None
        taken = self._context.set_input_shape(self._input, tuple(lr.shape))
        if not taken or self._context.infer_shapes():
            size = "x".join(map(str, lr.shape))
            cause = f"the engine rejects {size}: {self._logger.reason}"
            raise ExportError(702, cause, "build it with this size within --min..--max")
        shape = tuple(self._context.get_tensor_shape(self._output))
        self._sr = torch.empty(shape, dtype=torch.float32, device=lr.device)
        self._lr = lr.clone() if self._captures else self._lr
        self._shape = tuple(lr.shape)

    def _enqueue(self, lr: Tensor, sr: Tensor, stream: Any) -> None:
        self._context.set_tensor_address(self._input, lr.data_ptr())
        self._context.set_tensor_address(self._output, sr.data_ptr())
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise ExportError(
                702, f"{self._title} failed to run the engine: {self._logger.reason}", "build it again here"
            )

    def _replay(self, lr: Tensor, stream: Any) -> Tensor:
        """Run by replaying a CUDA graph, which has its own input and output memory."""
        if self._captures_itself:
            self._lr.copy_(lr)
            self._enqueue(self._lr, self._sr, stream)
            return self._sr if self._reuses else self._sr.clone()
        if self._graph is None:
            self._enqueue(self._lr, self._sr, stream)  # lazy initialization must not be captured
            self._graph = self._captured(stream)
        self._lr.copy_(lr)
        self._graph.replay()
        return self._sr if self._reuses else self._sr.clone()

    def _captured(self, stream: Any) -> Any:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._side, capture_error_mode="thread_local"):
                self._enqueue(self._lr, self._sr, self._side)
        except Exception as error:  # ending the capture also raises, and leaves the side stream current
            torch.cuda.set_stream(stream)
            cause = f"the engine cannot be captured as a CUDA graph ({first_line(error)})"
            raise ExportError(702, cause, "load it without cuda_graph") from error
        return graph

    @contextlib.contextmanager
    def _stream(self) -> Generator[Any, None, None]:
        """Yield the caller's stream, or a side stream instead of the default one, after the previous call has finished.

        On the default stream TensorRT would synchronize the device.
        """
        current = torch.cuda.current_stream()
        chosen = current if current.cuda_stream else self._side
        if chosen is not current:
            chosen.wait_stream(current)
        chosen.wait_event(self._done)
        try:
            with torch.cuda.stream(chosen):
                yield chosen
        finally:
            self._done.record(chosen)
            for own in (self._lr, self._sr):
                if own.is_cuda:
                    own.record_stream(chosen)
            if chosen is not current:
                current.wait_stream(chosen)


def _save_cache(cache: Any, file: Path) -> None:
    """Keep compiled kernels for the next process; without write access they are compiled again."""
    content = bytes(cache.serialize())
    with contextlib.suppress(OSError):
        if not file.is_file() or file.read_bytes() != content:
            with atomic_path(file) as temporary:
                temporary.write_bytes(content)


def current_device() -> torch.device:
    """Return the current CUDA device of torch."""
    return torch.device("cuda", torch.cuda.current_device())


def on_device(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which `device` is the current one."""
    return torch.cuda.device(device)

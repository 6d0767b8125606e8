"""Backends that run a network: PyTorch, exported files in their runtimes, onnxruntime, OpenVINO."""

import copy
import importlib.util
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import cuda_timing
from srblocks import to_precision
from srblocks.network import Network
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS
from srblocks_export.formats.base import cxx_compiler
from srblocks_export.formats.tensorrt.trt_engine import BuildOptions

Run = Callable[[], Tensor]


@dataclass(frozen=True)
class Workload:
    """A network in eval mode, its input images, and a folder for its exported files.

    Every backend has float32 inputs and outputs, whatever its compute precision.

    Attributes:
        net: the network in float32, on the CPU.
        lr: the images, on the CPU.
        folder: a separate folder.
        precision: compute precision: fp32, fp16 or bf16.
        device: cpu or cuda.
        threads: threads of every backend on the CPU.
        tf32: allow TF32 for float32 on CUDA.
        exported: (format, precision) -> exported file and export seconds.
    """

    net: Network
    lr: Tensor
    folder: Path
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 1
    tf32: bool = False
    exported: dict[tuple[str, str], tuple[Path, float]] = field(default_factory=dict, repr=False, compare=False)

    def at(self, precision: str) -> "Workload":
        """Return this workload at another precision; exported files are shared."""
        return replace(self, precision=precision)

    @property
    def torch_device(self) -> str:
        """Name of the device in PyTorch."""
        return cuda_timing.DEVICE if self.device == "cuda" else "cpu"

    @cached_property
    def images(self) -> Tensor:
        """The images on the device."""
        return self.lr.to(self.torch_device)

    def module(self) -> nn.Module:
        """Return the network on the device in its precision; half precisions use channels_last."""
        net = copy.deepcopy(self.net) if self.precision == "fp32" else to_precision(self.net, self.precision)
        return net.to(self.torch_device).eval()

    def file(self, fmt: str) -> Path:
        """Return the exported file of a format, for exactly this shape; later calls return the same file."""
        key = fmt, self.precision
        if key not in self.exported:
            start = time.perf_counter()
            path = self.export(fmt)
            self.exported[key] = path, time.perf_counter() - start
        return self.exported[key][0]

    def export(self, fmt: str) -> Path:
        """Export to a format and return the file."""
        config = ExportConfig(
            formats=(fmt,),
            out=self.folder,
            name=f"net-{self.precision}",
            shape=tuple(self.lr.shape),
            precision=self.precision,
            device=self.device if self.device in FORMATS[fmt].devices else "cpu",
            engine=BuildOptions(tf32=self.tf32),
            verify="off",
            optimize=False,
            force=True,
        )
        reports = {report.format: report for report in export_network(self.net, config)}
        for report in reports.values():
            if report.error:
                raise report.error
        path = reports[fmt].path
        assert path is not None
        return path


@dataclass(frozen=True)
class Backend:
    """A backend.

    Attributes:
        name: name in tables.
        build: prepares a workload and returns its run function.
        precisions: device -> supported precisions.
        format: export format of the file it runs; None if it runs the network itself.
        library: Python package it requires besides torch.
        lazy: True if it compiles in its first run.
        pooled: True if its instances share GPU memory.
        casts: True if it runs the float32 file and converts it to the precision itself.
    """

    name: str
    build: Callable[[Workload], Run]
    precisions: Mapping[str, tuple[str, ...]]
    format: str | None = None
    library: str | None = None
    lazy: bool = False
    pooled: bool = False
    casts: bool = False

    def missing(self, device: str, precision: str) -> str:
        """Return why it cannot run here; empty if it can."""
        if precision not in self.precisions.get(device, ()):
            return f"no {precision} on {device}"
        if self.library and importlib.util.find_spec(self.library) is None:
            return f"{self.library} is not installed"
        if self.format and (missing := FORMATS[self.format].missing(build=True, device=device)):
            return missing.what
        if self.lazy and device == "cpu" and cxx_compiler() is None:
            return "no C++ compiler found"
        if self.library == "openvino" and precision == "bf16" and not _openvino_has("BF16"):
            return "the CPU does not support bf16"
        return ""


def eager(workload: Workload, *, memory_format: torch.memory_format = torch.contiguous_format) -> Run:
    """PyTorch eager mode."""
    net, images = workload.module(), workload.images
    if workload.precision == "fp32":
        net = net.to(memory_format=memory_format)

    @torch.inference_mode()
    def run() -> Tensor:
        return net(images)

    return run


def compiled(workload: Workload, *, mode: str | None = None) -> Run:
    """torch.compile for exactly this shape; graph breaks are errors."""
    net, images = workload.module().to(memory_format=torch.channels_last), workload.images
    program = torch.compile(net, dynamic=False, fullgraph=True, mode=mode)

    @torch.no_grad()
    def run() -> Tensor:
        return program(images)

    return run


def cuda_graph(workload: Workload) -> Run:
    """CUDA graph of PyTorch eager mode in channels_last."""
    return cuda_timing.captured(eager(workload, memory_format=torch.channels_last))


def artifact(workload: Workload, *, fmt: str, **options: Any) -> Run:
    """An exported file, loaded by `srblocks_export.runtime`."""
    loaded, images = runtime.load(workload.file(fmt), **options), workload.images
    return torch.no_grad()(lambda: loaded(images))


def torchscript(workload: Workload) -> Run:
    """TorchScript's own runtime."""
    path, images = workload.file("torchscript"), workload.images
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit")  # deprecation, see pyproject.toml
        program = torch.jit.load(path, map_location=workload.torch_device)

    @torch.inference_mode()
    def run() -> Tensor:
        return program(images)

    return run


def onnxruntime(workload: Workload) -> Run:
    """Onnxruntime's CPU provider without spinning threads."""
    import onnxruntime as ort  # noqa: PLC0415 (optional library)

    options = ort.SessionOptions()
    options.intra_op_num_threads = workload.threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(workload.file("onnx"), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: workload.lr.numpy()}
    return lambda: torch.from_numpy(session.run(None, feed)[0])


def openvino(workload: Workload) -> Run:
    """OpenVINO's CPU plugin at an explicit precision; its default is bf16 if the CPU supports it."""
    import openvino as ov  # noqa: PLC0415

    settings = {
        "INFERENCE_NUM_THREADS": workload.threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(workload.precision, workload.precision),
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = ov.Core().compile_model(workload.at("fp32").file("onnx"), "CPU", settings)
    request = compiled.create_infer_request()
    feed = np.ascontiguousarray(workload.lr.numpy())

    def run() -> Tensor:
        request.infer([feed], share_inputs=True)
        return torch.from_numpy(request.get_output_tensor(0).data)

    return run


def _openvino_has(capability: str) -> bool:
    import openvino as ov  # noqa: PLC0415

    return capability in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


_CPU, _GPU = {"cpu": ("fp32", "bf16")}, {"cuda": ("fp32", "fp16", "bf16")}
_LAST = partial(eager, memory_format=torch.channels_last)
BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("eager", eager, {"cpu": ("fp32",), "cuda": ("fp32",)}),
        Backend("channels_last", _LAST, _CPU | _GPU),
        Backend("compile", compiled, _CPU | _GPU, lazy=True),
        Backend("compile max-autotune", partial(compiled, mode="max-autotune"), _GPU, lazy=True, pooled=True),
        Backend("CUDA graph", cuda_graph, _GPU),
        Backend("TorchScript", torchscript, _CPU | _GPU, format="torchscript"),
        Backend("onnxruntime", onnxruntime, {"cpu": ("fp32",)}, format="onnx"),
        Backend("OpenVINO", openvino, _CPU, format="onnx", library="openvino", casts=True),
        Backend("AOTInductor", partial(artifact, fmt="aoti"), _CPU | _GPU, format="aoti"),
        Backend("TensorRT", partial(artifact, fmt="trt"), {"cuda": ("fp32", "fp16")}, format="trt"),
        Backend(
            "TensorRT + CUDA graph",
            partial(artifact, fmt="trt", cuda_graph=True, reuse_output=True),
            {"cuda": ("fp32", "fp16")},
            format="trt",
        ),
        Backend("TensorRT for RTX", partial(artifact, fmt="trt-rtx"), _GPU, format="trt-rtx"),
        Backend(
            "TensorRT for RTX + CUDA graph",
            partial(artifact, fmt="trt-rtx", cuda_graph=True, reuse_output=True),
            _GPU,
            format="trt-rtx",
        ),
        Backend("Torch-TensorRT", partial(artifact, fmt="torch-trt"), {"cuda": ("fp32", "fp16")}, format="torch-trt"),
    )
}


@dataclass(frozen=True)
class Configuration:
    """A backend at a precision."""

    backend: Backend
    precision: str

    @classmethod
    def parse(cls, label: str) -> "Configuration":
        """Return the configuration of a label such as "OpenVINO bf16"."""
        name, _, precision = label.rpartition(" ")
        return cls(BACKENDS[name], precision)

    @property
    def label(self) -> str:
        """Backend name and precision."""
        return f"{self.backend.name} {self.precision}"

    def missing(self, device: str) -> str:
        """Return why it cannot run here; empty if it can."""
        return self.backend.missing(device, self.precision)


def configurations(device: str) -> list[Configuration]:
    """Return every backend at every precision that it supports on a device."""
    return [
        Configuration(backend, precision)
        for backend in BACKENDS.values()
        for precision in backend.precisions.get(device, ())
    ]

"""What runs a network: PyTorch itself, exported files in their runtimes, onnxruntime, OpenVINO."""

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

from srblocks import to_precision
from srblocks.network import Network
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS, compiler
from srblocks_export.formats.tensorrt.trt_engine import BuildOptions

from . import cuda

Run = Callable[[], Tensor]


@dataclass(frozen=True)
class Subject:
    """A network in eval mode, the images that it runs on, and a folder for the files that are made of it.

    Every engine takes float32 images and gives float32 images, whatever it computes in between.

    Attributes:
        net: in float32, on the CPU.
        lr: the images, on the CPU.
        folder: of its own.
        precision: what the network computes in: fp32, fp16 or bf16.
        device: where it runs: cpu or cuda.
        threads: of every engine on the CPU.
        tf32: float32 may round to TF32 on CUDA.
        made: (format, precision) -> its file and the seconds that making it took.
    """

    net: Network
    lr: Tensor
    folder: Path
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 1
    tf32: bool = False
    made: dict[tuple[str, str], tuple[Path, float]] = field(default_factory=dict, repr=False, compare=False)

    def at(self, precision: str) -> "Subject":
        """The same in another precision; files are shared."""
        return replace(self, precision=precision)

    @property
    def place(self) -> str:
        """PyTorch's name of the device."""
        return cuda.DEVICE if self.device == "cuda" else "cpu"

    @cached_property
    def images(self) -> Tensor:
        """The images on the device."""
        return self.lr.to(self.place)

    def module(self) -> nn.Module:
        """The network on the device, in the precision; half precisions are in channels_last."""
        net = copy.deepcopy(self.net) if self.precision == "fp32" else to_precision(self.net, self.precision)
        return net.to(self.place).eval()

    def file(self, fmt: str) -> Path:
        """The network in a format, for exactly this shape and with no rewrite beyond its own; made once."""
        key = fmt, self.precision
        if key not in self.made:
            start = time.perf_counter()
            path = self.export(fmt)
            self.made[key] = path, time.perf_counter() - start
        return self.made[key][0]

    def export(self, fmt: str) -> Path:
        """Write the file of a format."""
        request = ExportConfig(
            formats=(fmt,),
            out=self.folder,
            name=f"net-{self.precision}",
            shape=tuple(self.lr.shape),
            precision=self.precision,
            device=self.device if FORMATS[fmt].compiler else "cpu",
            engine=BuildOptions(tf32=self.tf32),
            verify="off",
            optimize=False,
            force=True,
        )
        reports = {report.format: report for report in export_network(self.net, request)}
        for report in reports.values():
            if report.error:
                raise report.error
        path = reports[fmt].path
        assert path is not None
        return path


@dataclass(frozen=True)
class Engine:
    """One way of running a network.

    Attributes:
        name: what tables call it.
        build: makes it ready to run a subject.
        precisions: device -> what it can compute in there.
        format: the export format whose file it runs; None for none.
        library: a Python package that it needs beside torch.
        lazy: it compiles in its first run.
        pooled: its candidates share their memory on a GPU.
        rounds: it runs the file of the network in float32, and rounds to the precision itself.
    """

    name: str
    build: Callable[[Subject], Run]
    precisions: Mapping[str, tuple[str, ...]]
    format: str | None = None
    library: str | None = None
    lazy: bool = False
    pooled: bool = False
    rounds: bool = False

    def missing(self, device: str, precision: str) -> str:
        """Why it cannot run here; empty when it can."""
        if precision not in self.precisions.get(device, ()):
            return f"not in {precision} on {device}"
        if self.library and importlib.util.find_spec(self.library) is None:
            return f"{self.library} is not installed"
        if self.format and (missing := FORMATS[self.format].missing(build=True, device=device)):
            return missing.what
        if self.lazy and device == "cpu" and compiler() is None:
            return "there is no C++ compiler"
        if self.library == "openvino" and precision == "bf16" and not _openvino_has("BF16"):
            return "this processor has no bf16"
        return ""


def eager(subject: Subject, *, memory_format: torch.memory_format = torch.contiguous_format) -> Run:
    """PyTorch, operation by operation."""
    net, images = subject.module(), subject.images
    if subject.precision == "fp32":
        net = net.to(memory_format=memory_format)

    @torch.inference_mode()
    def run() -> Tensor:
        return net(images)

    return run


def compiled(subject: Subject, *, mode: str | None = None) -> Run:
    """By torch.compile for exactly this shape; a network that it cannot take whole is an error."""
    net, images = subject.module().to(memory_format=torch.channels_last), subject.images
    program = torch.compile(net, dynamic=False, fullgraph=True, mode=mode)

    @torch.no_grad()
    def run() -> Tensor:
        return program(images)

    return run


def graph(subject: Subject) -> Run:
    """A CUDA graph of what PyTorch does in channels_last."""
    return cuda.captured(eager(subject, memory_format=torch.channels_last))


def artifact(subject: Subject, *, fmt: str, **options: Any) -> Run:
    """An exported file, loaded as users load it."""
    loaded, images = runtime.load(subject.file(fmt), **options), subject.images
    return torch.no_grad()(lambda: loaded(images))


def torchscript(subject: Subject) -> Run:
    """TorchScript's own runtime."""
    path, images = subject.file("torchscript"), subject.images
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit")  # it announces its end; see pyproject.toml
        program = torch.jit.load(path, map_location=subject.place)

    @torch.inference_mode()
    def run() -> Tensor:
        return program(images)

    return run


def onnxruntime(subject: Subject) -> Run:
    """Onnxruntime's CPU provider, whose threads do not spin."""
    import onnxruntime as ort  # noqa: PLC0415 (an engine's library is imported where the engine is used)

    options = ort.SessionOptions()
    options.intra_op_num_threads = subject.threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(subject.file("onnx"), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: subject.lr.numpy()}
    return lambda: torch.from_numpy(session.run(None, feed)[0])


def openvino(subject: Subject) -> Run:
    """OpenVINO's CPU plugin in a stated precision; its default is bf16 where the processor has it."""
    import openvino as ov  # noqa: PLC0415

    settings = {
        "INFERENCE_NUM_THREADS": subject.threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(subject.precision, subject.precision),
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = ov.Core().compile_model(subject.at("fp32").file("onnx"), "CPU", settings)
    request = compiled.create_infer_request()
    feed = np.ascontiguousarray(subject.lr.numpy())

    def run() -> Tensor:
        request.infer([feed], share_inputs=True)
        return torch.from_numpy(request.get_output_tensor(0).data)

    return run


def _openvino_has(capability: str) -> bool:
    import openvino as ov  # noqa: PLC0415

    return capability in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


_CPU, _GPU = {"cpu": ("fp32", "bf16")}, {"cuda": ("fp32", "fp16", "bf16")}
_LAST = partial(eager, memory_format=torch.channels_last)
ENGINES = {
    engine.name: engine
    for engine in (
        Engine("eager", eager, {"cpu": ("fp32",), "cuda": ("fp32",)}),
        Engine("channels_last", _LAST, _CPU | _GPU),
        Engine("compile", compiled, _CPU | _GPU, lazy=True),
        Engine("compile max-autotune", partial(compiled, mode="max-autotune"), _GPU, lazy=True, pooled=True),
        Engine("CUDA graph", graph, _GPU),
        Engine("TorchScript", torchscript, _CPU | _GPU, format="torchscript"),
        Engine("onnxruntime", onnxruntime, {"cpu": ("fp32",)}, format="onnx"),
        Engine("OpenVINO", openvino, _CPU, format="onnx", library="openvino", rounds=True),
        Engine("AOTInductor", partial(artifact, fmt="aoti"), _CPU | _GPU, format="aoti"),
        Engine("TensorRT", partial(artifact, fmt="trt"), {"cuda": ("fp32", "fp16")}, format="trt"),
        Engine(
            "TensorRT + CUDA graph",
            partial(artifact, fmt="trt", cuda_graph=True, reuse_output=True),
            {"cuda": ("fp32", "fp16")},
            format="trt",
        ),
        Engine("Torch-TensorRT", partial(artifact, fmt="torch-trt"), {"cuda": ("fp32", "fp16")}, format="torch-trt"),
    )
}


@dataclass(frozen=True)
class Way:
    """An engine in a precision."""

    engine: Engine
    precision: str

    @classmethod
    def named(cls, label: str) -> "Way":
        """The way of a label such as "OpenVINO bf16"."""
        name, _, precision = label.rpartition(" ")
        return cls(ENGINES[name], precision)

    @property
    def label(self) -> str:
        """The engine and the precision."""
        return f"{self.engine.name} {self.precision}"

    def missing(self, device: str) -> str:
        """Why it cannot run here; empty when it can."""
        return self.engine.missing(device, self.precision)


def ways(device: str) -> list[Way]:
    """Every engine in every precision that it has on a device."""
    return [Way(engine, precision) for engine in ENGINES.values() for precision in engine.precisions.get(device, ())]

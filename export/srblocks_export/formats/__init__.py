"""The formats, one file each with the same functions: `write` an artifact, `read` it back.

This table is plain data, so that the command line is parsed without importing any of the libraries behind it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from srblocks.network import Network

    from ..config import ExportConfig
    from ..shapes import Shapes


PRECISIONS = ("fp32", "fp16", "bf16")
"""What a network can compute in; inputs and outputs are float32 always."""


@dataclass(frozen=True)
class Loaded:
    """An artifact in memory.

    Attributes:
        run: images to larger images, arrays of the module's `ARRAYS` on `device`, float32.
        manifest: what the artifact says of itself.
        device: where torch tensors must lie, such as "cpu" or "cuda:0".
    """

    run: Callable[[Any], Any]
    manifest: dict[str, Any]
    device: str = "cpu"


class FormatModule(Protocol):
    """What each file of this package offers."""

    #: "torch" or "numpy": the kind of array that `Loaded.run` takes and gives.
    ARRAYS: str

    def write(
        self, net: Network, path: Path, *, shapes: Shapes, metadata: dict[str, Any], request: ExportConfig
    ) -> dict[str, Any]:
        """Export `net` to `path` with `metadata` inside; give what the manifest should say of the file.

        A format that is made from another one also takes `source`, the finished file of that one. "warnings" of what is
        given become warnings of the export.
        """
        ...

    def read(self, path: Path, **options: Any) -> Loaded:
        """Load an artifact. Only what `Format.options` names is passed, and `entry` where `Format.sidecar` says so."""
        ...


class Missing(NamedTuple):
    """What keeps a format from being built or run here."""

    number: int
    what: str
    remedy: str


@dataclass(frozen=True)
class Format:
    """One row of the table.

    Attributes:
        name: as on the command line.
        suffix: of the artifact's file.
        summary: for ``--help``.
        requires: modules that must be importable to run it, beyond srblocks's own dependencies.
        builds_with: further modules that must be importable to build it.
        extra: the optional extra of srblocks that installs them.
        precisions: those of `PRECISIONS` that its artifacts can have.
        devices: what it is built for and runs on.
        compiler: needs a C++ compiler to be built.
        source: the format whose file it is made from.
        profiled: is built for a range of sizes, with one that it is quickest at.
        sidecar: carries no manifest; manifest.json beside the file is read.
        options: of `srblocks_export.runtime.load`.
    """

    name: str
    suffix: str
    summary: str
    requires: tuple[str, ...] = ()
    builds_with: tuple[str, ...] = ()
    extra: str = ""
    precisions: tuple[str, ...] = PRECISIONS
    devices: tuple[str, ...] = ("cpu",)
    compiler: bool = False
    source: str | None = None
    profiled: bool = False
    sidecar: bool = False
    options: tuple[str, ...] = ()

    @property
    def module(self) -> FormatModule:
        """The file with this format's functions; imports the libraries behind it."""
        package = {"pt2": "torch_export", "trt": "tensorrt", "torch-trt": "torch_tensorrt"}.get(self.name, self.name)
        return cast("FormatModule", importlib.import_module(f"{__name__}.{package}.format"))

    @property
    def portable(self) -> bool:
        """Is built and runs wherever its libraries can be installed."""
        return self.devices == ("cpu",) and not self.compiler

    def device(self, wanted: str) -> str:
        """Give the device that it is built for where one is wanted."""
        return wanted if wanted in self.devices else self.devices[0]

    def missing(self, *, build: bool = True, device: str = "cpu") -> Missing | None:
        """Say what keeps this format from being built here for a device, or from running; None when nothing does."""
        needed = (*(self.builds_with if build else ()), *self.requires)
        absent = [name for name in needed if importlib.util.find_spec(name) is None]
        if absent:
            return Missing(401, f"{', '.join(absent)} not installed", self.remedy)
        cuda = self.device(device) == "cuda"
        if cuda and (reason := next(filter(None, map(_unloadable, self.requires)), None)):
            return Missing(401, reason, self.remedy)
        if cuda and not _has_cuda():
            return Missing(402, "no usable CUDA device", "build and run it on a machine with an NVIDIA GPU")
        if build and self.compiler and compiler() is None:
            return Missing(403, "no C++ compiler", "install g++ or clang++")
        return None

    @property
    def remedy(self) -> str:
        """The command that installs what the format needs."""
        return f'pip install "srblocks[{self.extra}]"' if self.extra else "install torch again"


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format("torchscript", ".ts", "TorchScript by scripting, for libtorch and torch.jit.load"),
        Format(
            "onnx",
            ".onnx",
            "ONNX with dynamic batch, height and width, for onnxruntime and others",
            requires=("onnxruntime",),
            builds_with=("onnx", "onnxscript"),
            extra="onnx",
            precisions=("fp32", "fp16"),  # onnxruntime has no convolution of bfloat16 on the CPU
        ),
        Format("pt2", ".pt2", "torch.export program with dynamic shapes, for torch.export.load"),
        Format(
            "aoti",
            ".aoti.pt2",
            "AOTInductor package: machine code for processors like this one, or for a GPU (--device cuda)",
            devices=("cpu", "cuda"),
            compiler=True,
        ),
        Format(
            "trt",
            ".engine",
            "TensorRT engine for GPUs like this one, made from --onnx, which is written too",
            requires=("tensorrt",),
            builds_with=("onnx", "onnxscript", "onnxruntime"),
            extra="trt",
            precisions=("fp32", "fp16"),  # as its ONNX
            devices=("cuda",),
            source="onnx",
            profiled=True,
            sidecar=True,
            options=("cuda_graph", "reuse_output"),
        ),
        Format(
            "torch-trt",
            ".trt.pt2",
            "torch.export program with TensorRT engines inside, for torch_tensorrt.load",
            requires=("tensorrt", "torch_tensorrt"),
            extra="trt",
            devices=("cuda",),
            profiled=True,
        ),
    )
}


def format_of(path: Path) -> Format | None:
    """Give the format that a file's suffix names; None for none of ours."""
    fitting = [row for row in FORMATS.values() if path.name.endswith(row.suffix)]
    return max(fitting, key=lambda row: len(row.suffix), default=None)


def compiler() -> str | None:
    """Give the C++ compiler on the path; None where there is none."""
    return next((name for name in ("c++", "g++", "clang++", "cl") if shutil.which(name)), None)


def _unloadable(name: str) -> str | None:
    """Say why an installed module does not load; None when it does.

    `torch_tensorrt` without its libraries prints and raises a bare Exception.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module(name)
    except Exception as error:
        from ..errors import first_line

        return f"{name} does not load ({first_line(error)})"
    return None


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()

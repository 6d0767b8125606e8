"""The interface of export formats: what generic code knows about a format."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import shutil
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from srblocks.network import Network

    from ..config import ExportConfig
    from ..manifest import ArtifactInfo
    from ..shapes import Shapes


PRECISIONS = ("fp32", "fp16", "bf16")
"""Precisions of the computation; inputs and outputs are always float32."""


class Missing(NamedTuple):
    """Why a format cannot be built or run on this machine.

    Attributes:
        number: number of the `ExportError` to raise.
        what: what is missing.
        remedy: how to install it.
    """

    number: int
    what: str
    remedy: str


@dataclass(frozen=True)
class WriteContext:
    """Everything besides the network and the path that writing an artifact may need.

    Attributes:
        shapes: accepted input sizes.
        metadata: description to embed in the file.
        config: options of the export.
        source: the finished file of the format that this one is made from; None for other formats.
    """

    shapes: Shapes
    metadata: Mapping[str, Any]
    config: ExportConfig
    source: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """An artifact in memory.

    Attributes:
        run: maps low-resolution to high-resolution images, float32, arrays of `Format.arrays` on `device`.
        manifest: the embedded description, or the entry of manifest.json.
        device: device of the torch tensors that `run` accepts, such as "cpu" or "cuda:0".
    """

    run: Callable[[Any], Any]
    manifest: dict[str, Any]
    device: str = "cpu"


@dataclass(frozen=True)
class Format:
    """An export format.

    Its package has two modules, imported on use: ``exporter`` with ``write(net, path, context)``, which returns the
    details of the file for the manifest ("warnings" among them become warnings of the export, "checks" part of the
    verification of a file that cannot run here), and ``loader`` with
    ``read(path, **options)``, which returns `Loaded`.

    Attributes:
        name: name of the format, also its command-line flag.
        suffix: suffix of the file name.
        summary: description for ``--help``.
        package: name of the package that implements the format.
        arrays: type of the arrays of `Loaded.run`, "torch" or "numpy".
        requires: modules needed to run an artifact, in addition to srblocks's own dependencies.
        builds_with: further modules needed to build one.
        min_torch: lowest torch (major, minor) that builds and runs the format; None for the package's own minimum.
        extra: optional dependency group of srblocks that installs them.
        precisions: supported `PRECISIONS`.
        devices: devices to build for and run on; the first is the default.
        needs_compiler: building needs a C++ compiler.
        source: format whose file this one is made from.
        needs_range: is built for a bounded range of sizes and optimized for one of them.
        builds_ahead: building needs none of the devices that run it.
        build_options: fields of `BuildOptions` that apply.
        always_rewrites: precision -> rewrites to apply also where they do not pay off, see `srblocks.optimize`.
        sidecar: the file embeds no manifest; its entry in manifest.json is read.
        load_options: options of `srblocks_export.runtime.load` that apply.
    """

    name: str
    suffix: str
    summary: str
    package: str
    arrays: str = "torch"
    requires: tuple[str, ...] = ()
    builds_with: tuple[str, ...] = ()
    min_torch: tuple[int, int] | None = None
    extra: str = ""
    precisions: tuple[str, ...] = PRECISIONS
    devices: tuple[str, ...] = ("cpu",)
    needs_compiler: bool = False
    source: str | None = None
    needs_range: bool = False
    builds_ahead: bool = False
    build_options: tuple[str, ...] = ()
    always_rewrites: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    sidecar: bool = False
    load_options: tuple[str, ...] = ()

    def write(self, net: Network, path: Path, context: WriteContext) -> dict[str, Any]:
        """Export `net` to `path`; return the details of the file for the manifest.

        Raises:
            ExportError: see the format's exporter.
        """
        return importlib.import_module(f"{self.package}.exporter").write(net, path, context)

    def read(self, path: Path, *, entry: Mapping[str, Any] | None = None, **options: Any) -> Loaded:
        """Load an artifact.

        Args:
            path: the file.
            entry: its manifest entry if it is not in manifest.json yet; only read if `sidecar`.
            options: those of `load_options`.

        Raises:
            ImportError: a required library does not load.
            ExportError: the artifact does not fit this machine.
            Exception: the file is damaged or foreign; every backend raises its own types.
        """
        if self.sidecar:
            options["entry"] = entry
        return importlib.import_module(f"{self.package}.loader").read(path, **options)

    def inspect(self, path: Path, entry: Mapping[str, Any]) -> list[str]:
        """Check an artifact that cannot run here as far as possible; return what was checked, one line each.

        Args:
            path: the file.
            entry: its manifest entry.

        Raises:
            ExportError: the artifact is rejected.
        """
        raise NotImplementedError

    def source_details(self, source: Path, name: str, context: WriteContext) -> dict[str, Any]:
        """Return what the manifest records about the `source` file for builds of this format on another machine.

        Args:
            source: the file that this format is made from, at its present path.
            name: its final name.
            context: as for `write`.
        """
        return {}

    def hints(self, source: ArtifactInfo) -> Iterator[str]:
        """Yield commands that build this format on another machine from the file described by `source`."""
        return iter(())

    @property
    def portable(self) -> bool:
        """Whether it is built and runs wherever its libraries can be installed."""
        return self.devices == ("cpu",) and not self.needs_compiler

    def device(self, wanted: str) -> str:
        """Return `wanted` if the format supports this device, else its default device."""
        return wanted if wanted in self.devices else self.devices[0]

    def missing(self, *, build: bool = True, device: str = "cpu") -> Missing | None:
        """Return why this format cannot be built here for a device (or only run, if not `build`); None if it can."""
        if self.min_torch and (found := metadata.version("torch")) and _major_minor(found) < self.min_torch:
            floor = ".".join(map(str, self.min_torch))
            return Missing(401, f"requires torch >= {floor}, found {found}", f'pip install "torch>={floor}"')
        modules = self.modules()
        needed = (*(self.builds_with if build else ()), *modules)
        absent = [name for name in needed if importlib.util.find_spec(name) is None]
        if absent:
            return Missing(401, f"{', '.join(absent)} not installed", self.remedy)
        cuda = self.device(device) == "cuda"
        if cuda and (problem := next(filter(None, map(_import_problem, modules)), None)):
            return Missing(401, problem, self.remedy)
        if cuda and not (build and self.builds_ahead) and not _has_cuda():
            return Missing(402, "no usable CUDA device", "build and run it on a machine with an NVIDIA GPU")
        if build and self.needs_compiler and cxx_compiler() is None:
            return Missing(403, "no C++ compiler", "install g++ or clang++")
        return None

    def modules(self) -> tuple[str, ...]:
        """Return the modules needed to run an artifact."""
        return self.requires

    @property
    def remedy(self) -> str:
        """The command that installs the required libraries."""
        return f'pip install "srblocks[{self.extra}]"' if self.extra else "reinstall torch"


def _major_minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def cxx_compiler() -> str | None:
    """Return the C++ compiler on the path; None if there is none."""
    return next((name for name in ("c++", "g++", "clang++", "cl") if shutil.which(name)), None)


def _import_problem(name: str) -> str | None:
    """Return why an installed module does not load; None if it does.

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

"""Engines of TensorRT and of TensorRT for RTX: formats that differ in the library that builds and runs them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base import Format
from .trt_engine import TENSORRT, Library

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from srblocks.network import Network

    from ...manifest import ArtifactInfo
    from ..base import Loaded, WriteContext


def _module(name: str) -> Any:
    """Import a module of this package on use: it imports the libraries."""
    return importlib.import_module(f"{__package__}.{name}")


@dataclass(frozen=True)
class EngineFormat(Format):
    """Plain engines (plans), built from the ONNX file of the same export.

    Attributes:
        library: the library that builds and runs them.
    """

    library: Library = TENSORRT

    def modules(self) -> tuple[str, ...]:
        """Return the library's module: the installed one if there are several."""
        return (self.library.module or self.library.modules[-1],)

    def write(self, net: Network, path: Path, context: WriteContext) -> dict[str, Any]:
        """Build the engine; see `srblocks_export.formats.tensorrt.exporter`."""
        return _module("exporter").write(self, path, context)

    def read(self, path: Path, *, entry: Mapping[str, Any] | None = None, **options: Any) -> Loaded:
        """Load an engine; see `srblocks_export.formats.tensorrt.loader`."""
        return _module("loader").read(self, path, entry=entry, **options)

    def inspect(self, path: Path, entry: Mapping[str, Any]) -> list[str]:
        """Check an engine without a GPU; see `srblocks_export.formats.tensorrt.loader`."""
        return _module("loader").inspect(self, path, entry)

    def source_details(self, source: Path, name: str, context: WriteContext) -> dict[str, Any]:
        """Return the sizes of an engine, for builds on another machine."""
        return {"engine_input": context.shapes.to_dict()}

    def hints(self, source: ArtifactInfo) -> Iterator[str]:
        """Yield the command of the stand-alone builder."""
        yield f"python -m {__package__}.trt_engine {source.file} --library {self.library.name}"

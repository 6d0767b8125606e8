"""The formats, one file each with the same functions: `write` an artifact, `read` it back.

This table is plain data, so that the command line is parsed without importing any of the libraries behind it.
"""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from srblocks.network import Network

    from ..request import ExportRequest
    from ..shapes import Shapes


PRECISIONS = ("fp32", "fp16", "bf16")
"""What a network can compute in; inputs and outputs are float32 always."""


class FormatModule(Protocol):
    """What each file of this package offers."""

    #: "torch" or "numpy": the kind of array that the callable of `read` takes and gives.
    ARRAYS: str

    def write(
        self, net: "Network", path: Path, *, shapes: "Shapes", metadata: dict[str, Any], request: "ExportRequest"
    ) -> dict[str, Any]:
        """Export `net` to `path` with `metadata` inside; give what the manifest should say of the file."""
        ...

    def read(self, path: Path) -> "tuple[Callable[[Any], Any], dict[str, Any]]":
        """Load an artifact: the callable and the metadata inside."""
        ...


@dataclass(frozen=True)
class Format:
    """One row of the table.

    Attributes:
        name: as on the command line.
        suffix: of the artifact's file.
        summary: for ``--help``.
        requires: modules that must be importable, beyond srblocks's own dependencies.
        extra: the optional extra of srblocks that installs them.
        precisions: those of `PRECISIONS` that its artifacts can have.
    """

    name: str
    suffix: str
    summary: str
    requires: tuple[str, ...] = ()
    extra: str = ""
    precisions: tuple[str, ...] = PRECISIONS

    @property
    def module(self) -> FormatModule:
        """The file with this format's functions; imports the libraries behind it."""
        return cast("FormatModule", importlib.import_module(f"{__name__}.{self.name}"))

    def missing(self) -> str | None:
        """Say what keeps this format from being built here; None when nothing does."""
        absent = [name for name in self.requires if importlib.util.find_spec(name) is None]
        return f"{', '.join(absent)} not installed" if absent else None

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
            requires=("onnx", "onnxscript", "onnxruntime"),
            extra="onnx",
            precisions=("fp32", "fp16"),  # onnxruntime has no convolution of bfloat16 on the CPU
        ),
        Format("pt2", ".pt2", "torch.export program with dynamic shapes, for torch.export.load"),
    )
}


def format_of(path: Path) -> Format | None:
    """Give the format that a file's suffix names; None for none of ours."""
    fitting = [row for row in FORMATS.values() if path.name.endswith(row.suffix)]
    return max(fitting, key=lambda row: len(row.suffix), default=None)

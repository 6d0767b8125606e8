"""TorchScript, made by scripting, so that control flow on sizes stays."""

import contextlib
import io
import json
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srblocks.network import Network

from ..errors import ExportError, first_line
from ..request import ExportRequest
from ..shapes import Shapes
from . import Loaded
from .archive import write_archive

ARRAYS = "torch"
_METADATA = "srblocks.json"


def write(
    net: Network, path: Path, *, shapes: Shapes, metadata: dict[str, Any], request: ExportRequest
) -> dict[str, Any]:
    """Script `net` into a file without debug records, which would hold paths of this machine.

    Raises:
        ExportError: E502, TorchScript cannot compile the network.
    """
    del shapes, request  # TorchScript fixes no shapes; the runtime checks them from the manifest
    buffer = io.BytesIO()
    with _quiet():
        try:
            scripted = torch.jit.script(net)
        except Exception as error:  # the compiler raises many types, some of them private
            cause = f"torch.jit.script cannot compile {type(net).__name__}: {first_line(error)}"
            raise ExportError(502, cause, "use what TorchScript knows of Python") from error
        torch.jit.save(scripted, buffer, _extra_files={_METADATA: json.dumps(metadata, sort_keys=True)})
    write_archive(buffer, path)
    return {}


def read(path: Path) -> Loaded:
    """Load the program on the CPU."""
    extra = {_METADATA: b""}
    with _quiet(), path.open("rb") as file:
        program = torch.jit.load(file, map_location="cpu", _extra_files=extra).eval()

    def run(lr: Tensor) -> Tensor:
        with torch.inference_mode():
            return program(lr)

    return Loaded(run, json.loads(extra[_METADATA] or b"{}"))


@contextlib.contextmanager
def _quiet() -> Generator[None, None, None]:
    """Leave out torch's remark that TorchScript is deprecated: the caller asked for TorchScript."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", message="`torch.jit", category=category)
        yield

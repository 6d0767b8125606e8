"""TorchScript, made by scripting, so that control flow on sizes stays."""

import contextlib
import io
import json
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srblocks.network import Network

from ...config import ExportConfig
from ...errors import ExportError, first_line
from ...shapes import Shapes
from .. import Loaded
from ..archive import packed, read_archive, write_archive
from .tensors import check_storages, check_tensors

ARRAYS = "torch"
_METADATA = "srblocks.json"
# What reads and writes files or calls other machines, and what would hide it.
_FOREIGN = ("aten::save", "aten::from_file", "prim::fork", "prim::CallMethod", "prim::PythonOp")
_REMOTE = ("prim::rpc_async", "prim::rpc_sync", "prim::rpc_remote")


def write(
    net: Network, path: Path, *, shapes: Shapes, metadata: dict[str, Any], request: ExportConfig
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
    """Load the program on the CPU, if it does nothing but operate on tensors.

    Raises:
        ValueError, zipfile.BadZipFile: it is damaged, or does more: TorchScript can write files.
    """
    records = read_archive(path)
    if any(b"__setstate__" in content for name, content in records.items() if name.endswith(".py")):
        raise ValueError("has code that runs when it is loaded")
    check_storages(records)
    extra = {_METADATA: b""}
    with _quiet():
        program = torch.jit.load(packed(records), map_location="cpu", _extra_files=extra).eval()
        graph = program.inlined_graph
    if foreign := [kind for kind in (*_FOREIGN, *_REMOTE) if graph.findNode(kind, recurse=True)]:
        raise ValueError(f"calls {foreign[0]}, which no export writes")
    check_tensors([*program.parameters(), *program.buffers(), *_constants(graph)])

    def run(lr: Tensor) -> Tensor:
        with torch.inference_mode():
            return program(lr)

    return Loaded(run, json.loads(extra[_METADATA] or b"{}"))


def _constants(graph: Any) -> Iterator[Tensor]:
    for node in graph.findAllNodes("prim::Constant", recurse=True):
        if node.hasAttribute("value") and node.kindOf("value") == "t":
            yield node.t("value")


@contextlib.contextmanager
def _quiet() -> Generator[None, None, None]:
    """Leave out torch's remark that TorchScript is deprecated: the caller asked for TorchScript."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", message="`torch.jit", category=category)
        yield

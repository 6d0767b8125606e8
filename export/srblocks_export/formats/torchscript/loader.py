"""Loading of TorchScript archives, limited to operations on tensors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..archive import pack, read_archive
from ..base import Loaded
from ..quiet import quiet
from .exporter import DEPRECATED, METADATA
from .tensors import check_storages, check_tensors

# Operators that read or write files or call other machines, and those that could hide such a call.
_FORBIDDEN = ("aten::save", "aten::from_file", "prim::fork", "prim::CallMethod", "prim::PythonOp")
_REMOTE = ("prim::rpc_async", "prim::rpc_sync", "prim::rpc_remote")


def read(path: Path) -> Loaded:
    """Load a program on the CPU, provided that it only operates on tensors.

    Raises:
        ValueError, zipfile.BadZipFile: the file is damaged, or does more: TorchScript can write files.
    """
    records = read_archive(path)
    if any(b"__setstate__" in content for name, content in records.items() if name.endswith(".py")):
        raise ValueError("contains code that runs while loading")
    check_storages(records)
    extra = {METADATA: b""}
    with quiet(categories=(DeprecationWarning, FutureWarning), message=DEPRECATED):
        program = torch.jit.load(pack(records), map_location="cpu", _extra_files=extra).eval()
        graph = program.inlined_graph
    if foreign := [kind for kind in (*_FORBIDDEN, *_REMOTE) if graph.findNode(kind, recurse=True)]:
        raise ValueError(f"calls {foreign[0]}, which no export writes")
    check_tensors([*program.parameters(), *program.buffers(), *_constants(graph)])

    def run(lr: Tensor) -> Tensor:
        with torch.inference_mode():
            return program(lr)

    return Loaded(run, json.loads(extra[METADATA] or b"{}"))


def _constants(graph: Any) -> Iterator[Tensor]:
    for node in graph.findAllNodes("prim::Constant", recurse=True):
        if node.hasAttribute("value") and node.kindOf("value") == "t":
            yield node.t("value")

"""torch.export programs (`.pt2`)."""

import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.exc import UserError, UserErrorType
from torch.export import Dim

from srblocks.network import Network

from ...config import ExportConfig
from ...errors import ExportError, first_line
from ...shapes import Shapes
from .. import Loaded
from ..archive import packed, read_archive, write_archive
from .program import check_program

ARRAYS = "torch"
_METADATA = "srblocks.json"
_MODULES = "nn_module_stack"
_TRACES = ("stack_trace", "source_fn_stack", "torch_fn", "from_node")


def example_input(net: Network, shapes: Shapes) -> Tensor:
    """An input to trace with: no two of batch, height and width equal, none of them 1, inside the ranges."""
    if shapes.static:
        return torch.zeros(shapes.minimum)
    low, high = shapes.minimum, shapes.maximum
    wanted = (2, net.image_channels, 24, 32)
    size = [max(a, min(b, c if c is not None else b)) for a, b, c in zip(low, wanted, high, strict=True)]
    size[2:] = [side // shapes.multiple * shapes.multiple for side in size[2:]]
    return torch.zeros(size)


def dynamic_shapes(shapes: Shapes, *, proven: bool = True) -> tuple[dict[int, Any]] | None:
    """The dynamic dimensions of the one input; None for a static export.

    With readable names, whose whole ranges torch.export must prove; or as hints, which leave the check to the artifact.
    """
    if shapes.static:
        return None
    dims: dict[int, Any] = {}
    for axis, name, multiple in ((0, "batch", 1), (2, "height", shapes.multiple), (3, "width", shapes.multiple)):
        low, high = shapes.minimum[axis], shapes.maximum[axis]
        if low != high and not proven:
            dims[axis] = Dim.DYNAMIC(min=low, max=high)
        elif low != high:
            limit = None if high is None else high // multiple
            dim = Dim(name, min=-(-low // multiple), max=limit)
            dims[axis] = multiple * dim if multiple > 1 else dim
    return (dims,)


def export_program(
    net: Network, shapes: Shapes, *, example: Tensor | None = None, modules: bool = False
) -> torch.export.ExportedProgram:
    """Trace `net` with dynamic batch, height and width, and drop everything that names this machine's files.

    Args:
        net: the network.
        shapes: the sizes that the program is to take.
        example: what to trace with, on the network's device; None for `example_input`.
        modules: each node keeps the path of the module that it comes from.

    Raises:
        ExportError: E502, torch.export cannot trace the network with these ranges.
    """
    inputs = (example_input(net, shapes) if example is None else example,)
    try:
        try:
            program = torch.export.export(net, inputs, dynamic_shapes=dynamic_shapes(shapes))
        except UserError as error:
            # Halves of a size, as SAN takes them, are beyond what torch.export can prove of a range.
            if error.error_type != UserErrorType.CONSTRAINT_VIOLATION or shapes.static:
                raise
            program = torch.export.export(net, inputs, dynamic_shapes=dynamic_shapes(shapes, proven=False))
    except Exception as error:  # torch.export raises many types, its own and the network's
        raise ExportError(
            502,
            f"torch.export cannot trace {type(net).__name__}: {first_line(error)}",
            "widen --min/--max, or use a static --shape",
        ) from error
    drop_traces(program, modules=modules)
    return program


def drop_traces(program: torch.export.ExportedProgram, *, modules: bool = False) -> None:
    """Remove what names this machine's files, and the paths of modules unless `modules` keeps them."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            for key in _TRACES if modules else (*_TRACES, _MODULES):
                node.meta.pop(key, None)


def write(
    net: Network, path: Path, *, shapes: Shapes, metadata: dict[str, Any], request: ExportConfig
) -> dict[str, Any]:
    """Export `net` with `metadata` as an extra file of the archive."""
    del request
    program = export_program(net, shapes)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Of weights that lie channels last; each has its memory to itself and is saved whole.
        warnings.filterwarnings("ignore", message="No complete tensor found in the group")
        torch.export.save(program, buffer, extra_files={_METADATA: json.dumps(metadata, sort_keys=True)})
    write_archive(buffer, path)
    return {}


def read(path: Path) -> Loaded:
    """Load the program on the device that it was exported on, if it does nothing but operate on tensors.

    Raises:
        ValueError, zipfile.BadZipFile: it is damaged, or does more: torch would execute it, pickles included.
    """
    records = read_archive(path)
    check_program(records)
    extra = {_METADATA: ""}
    logger = logging.getLogger("torch.export")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it logs the traceback of a file that it cannot read, besides raising
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="The given buffer is not writable"
            )  # torch 2.11, of its own bytes
            module = torch.export.load(packed(records), extra_files=extra).module()
    finally:
        logger.setLevel(level)

    def run(lr: Tensor) -> Tensor:
        with torch.inference_mode():
            return module(lr)

    return Loaded(run, json.loads(extra[_METADATA] or "{}"))

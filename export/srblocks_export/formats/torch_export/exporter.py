"""Export of torch.export programs."""

import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._dynamo import config
from torch._dynamo.exc import UserError, UserErrorType
from torch.export import Dim

from srblocks.network import Network

from ...errors import ExportError, first_line
from ...shapes import Shapes
from ..archive import write_archive
from ..base import WriteContext
from ..quiet import quiet

METADATA = "srblocks.json"
_NO_LIMIT = {"recompile_limit": 2**16, "accumulated_recompile_limit": 2**16}
"""Old versions of torch count the exports of a process as recompilations, and fail after eight of them."""
_MODULES = "nn_module_stack"
_TRACES = ("stack_trace", "source_fn_stack", "torch_fn", "from_node")


def example_input(net: Network, shapes: Shapes) -> Tensor:
    """Return an input to trace with: batch, height and width distinct and above 1, within the ranges."""
    if shapes.static:
        return torch.zeros(shapes.minimum)
    low, high = shapes.minimum, shapes.maximum
    wanted = (2, net.image_channels, 24, 32)
    size = [max(a, min(b, c if c is not None else b)) for a, b, c in zip(low, wanted, high, strict=True)]
    size[2:] = [side // shapes.multiple * shapes.multiple for side in size[2:]]
    return torch.zeros(size)


def dynamic_shapes(shapes: Shapes, *, proven: bool = True) -> tuple[dict[int, Any]] | None:
    """Return the dynamic dimensions of the input; None for a static export.

    Args:
        shapes: accepted input sizes.
        proven: use named dimensions, whose full ranges torch.export must prove; otherwise use hints, which leave the
            check to the artifact.
    """
    if shapes.static:
        return None
    dims: dict[int, Any] = {}
    for axis, name, multiple in ((0, "batch", 1), (2, "height", shapes.multiple), (3, "width", shapes.multiple)):
        low, high = shapes.minimum[axis], shapes.maximum[axis]
        if low != high and not proven:
            # torch.export takes 1 to 2 for a fixed size of 2.
            limit = None if high is None else max(high, 3)
            dims[axis] = Dim.DYNAMIC(min=low, max=limit) if callable(Dim.DYNAMIC) else Dim.DYNAMIC  # torch 2.7
        elif low != high:
            limit = None if high is None else high // multiple
            dim = Dim(name, min=-(-low // multiple), max=limit)
            dims[axis] = multiple * dim if multiple > 1 else dim
    return (dims,)


def export_program(
    net: Network, shapes: Shapes, *, example: Tensor | None = None, modules: bool = False
) -> torch.export.ExportedProgram:
    """Trace `net` with dynamic batch, height and width, without records that contain paths of this machine.

    Args:
        net: the network.
        shapes: accepted input sizes.
        example: input to trace with, on the network's device; None for `example_input`.
        modules: keep the module path of each node.

    Raises:
        ExportError: E502, torch.export cannot trace the network with these ranges.
    """
    inputs = (example_input(net, shapes) if example is None else example,)
    try:
        with config.patch(_NO_LIMIT):
            program = _trace(net, inputs, shapes)
    except Exception as error:  # torch.export raises many types, its own and the network's
        raise ExportError(
            502,
            f"torch.export cannot trace {type(net).__name__}: {first_line(error)}",
            "widen --min/--max, or use a static --shape",
        ) from error
    drop_traces(program, modules=modules)
    return program


def _trace(net: Network, inputs: tuple[Tensor], shapes: Shapes) -> torch.export.ExportedProgram:
    try:
        return torch.export.export(net, inputs, dynamic_shapes=dynamic_shapes(shapes))
    except (UserError, AssertionError) as error:
        # torch.export cannot prove ranges of halved sizes, which SAN uses; old versions of torch prove less.
        violated = isinstance(error, AssertionError) or error.error_type == UserErrorType.CONSTRAINT_VIOLATION
        if shapes.static or not violated:
            raise
        return torch.export.export(net, inputs, dynamic_shapes=dynamic_shapes(shapes, proven=False))


def drop_traces(program: torch.export.ExportedProgram, *, modules: bool = False) -> None:
    """Remove records that contain paths of this machine, and module paths unless `modules` is set."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            for key in _TRACES if modules else (*_TRACES, _MODULES):
                node.meta.pop(key, None)


def write(net: Network, path: Path, context: WriteContext) -> dict[str, Any]:
    """Export `net` with the metadata as an extra file of the archive.

    Raises:
        ExportError: E502, torch.export cannot trace the network.
    """
    program = export_program(net, context.shapes)
    buffer = io.BytesIO()
    # The warning is about channels-last weights; each has its own storage and is saved in full.
    with quiet(message="No complete tensor found in the group"):
        extra = {METADATA: json.dumps(context.metadata, sort_keys=True)}
        torch.export.save(program, buffer, extra_files=extra)
    write_archive(buffer, path)
    return {}

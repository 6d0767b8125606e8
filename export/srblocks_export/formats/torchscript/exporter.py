"""TorchScript export by scripting, which keeps control flow on sizes."""

import io
import json
from pathlib import Path
from typing import Any

import torch

from srblocks.adapter import AdaptedNetwork
from srblocks.network import Network

from ...errors import ExportError, first_line
from ..archive import write_archive
from ..base import WriteContext
from ..quiet import quiet

METADATA = "srblocks.json"
DEPRECATED = "`torch.jit"
"""Start of torch's deprecation warnings, which are no news to users who asked for TorchScript."""


def write(net: Network, path: Path, context: WriteContext) -> dict[str, Any]:
    """Script `net` into a file without debug records, which would contain paths of this machine.

    TorchScript fixes no shapes; the runtime checks the ranges of the manifest.

    Modules of other packages that cannot be scripted are traced.

    Raises:
        ExportError: E502, TorchScript cannot compile the network.
    """
    buffer = io.BytesIO()
    warnings: list[str] = []
    with quiet(categories=(DeprecationWarning, FutureWarning), message=DEPRECATED):
        try:
            scripted = torch.jit.script(net)
        except Exception as error:  # the compiler raises many types, some of them private
            cause = f"torch.jit.script cannot compile {type(net).__name__}: {first_line(error)}"
            if not isinstance(net, AdaptedNetwork):
                raise ExportError(502, cause, "use the subset of Python that TorchScript supports") from error
            scripted = _traced(net, context)
            warnings.append(f"warning: traced, because {cause}")
        torch.jit.save(scripted, buffer, _extra_files={METADATA: json.dumps(context.metadata, sort_keys=True)})
    write_archive(buffer, path)
    return {"warnings": warnings}


def _traced(net: AdaptedNetwork, context: WriteContext) -> Any:
    """Trace a module of another package; the verification shows whether the trace holds for other sizes."""
    count, channels, *sides = context.shapes.minimum
    height, width = (max(side, context.shapes.multiple * 16) for side in sides) if not context.shapes.static else sides
    weight = next(net.parameters(), torch.empty(0))
    images = torch.rand(count, channels, height, width, dtype=weight.dtype)
    try:
        return torch.jit.trace(net, images, check_trace=False)
    except Exception as error:  # the modules of other packages raise anything
        cause = f"torch.jit.trace fails for {net.name}: {first_line(error)}"
        raise ExportError(502, cause, "leave out --torchscript") from error

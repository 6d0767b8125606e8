"""TorchScript export by scripting, which keeps control flow on sizes."""

import io
import json
from pathlib import Path
from typing import Any

import torch

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

    Raises:
        ExportError: E502, TorchScript cannot compile the network.
    """
    buffer = io.BytesIO()
    with quiet(categories=(DeprecationWarning, FutureWarning), message=DEPRECATED):
        try:
            scripted = torch.jit.script(net)
        except Exception as error:  # the compiler raises many types, some of them private
            cause = f"torch.jit.script cannot compile {type(net).__name__}: {first_line(error)}"
            raise ExportError(502, cause, "use the subset of Python that TorchScript supports") from error
        torch.jit.save(scripted, buffer, _extra_files={METADATA: json.dumps(context.metadata, sort_keys=True)})
    write_archive(buffer, path)
    return {}

"""TorchScript archives (`.ts`)."""

from __future__ import annotations

from ..base import Format

FORMAT = Format("torchscript", ".ts", "TorchScript by scripting, for libtorch and torch.jit.load", __name__)

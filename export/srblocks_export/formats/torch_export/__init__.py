"""torch.export programs (`.pt2`)."""

from __future__ import annotations

from ..base import Format

FORMAT = Format(
    "pt2", ".pt2", "torch.export program with dynamic shapes, for torch.export.load", __name__, min_torch=(2, 11)
)

"""DRRN: jt827859032's port, with 25 runs of one unit and no normalisation."""

from typing import Any

from ..dialect import Dialect, Layout


def _read(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("input.weight", side=3)
    for name in ("conv1.weight", "conv2.weight", "output.weight"):
        layout.kernel(name, side=3)
    return {"image_channels": image_channels, "width": width, "bias": "input.bias" in layout}


DIALECTS = (
    Dialect(
        network="drrn_b1u25",
        source="jt827859032",
        keys={"input": "head.conv", "conv1": "body.0.convs.0", "conv2": "body.0.convs.1", "output": "tail.conv"},
        read=_read,
        implied={"scale": 1, "recursions": 25, "norm": False, "value_range": 1.0},
    ),
)

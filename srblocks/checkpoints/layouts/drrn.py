"""DRRN: port by jt827859032, with 25 recursions of one unit and no normalization."""

from typing import Any

from ..layout import Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("input.weight", size=3)
    for name in ("conv1.weight", "conv2.weight", "output.weight"):
        view.kernel(name, size=3)
    return {"image_channels": image_channels, "width": width, "bias": "input.bias" in view}


LAYOUTS = (
    Layout(
        network="drrn_b1u25",
        source="jt827859032",
        keys={"input": "head.conv", "conv1": "body.0.convs.0", "conv2": "body.0.convs.1", "output": "tail.conv"},
        read=_read,
        defaults={"scale": 1, "recursions": 25, "norm": False, "value_range": 1.0},
    ),
)

"""DRCN: jiny2001's port."""

from typing import Any

from ..dialect import Dialect, Layout


def _read(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("W-1_conv/conv_W_1", side=3)
    _, seen, _ = layout.kernel("WD2_conv_1", side=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "recursions": layout.tensors["LayerWeights"].numel() if "LayerWeights" in layout else 1,
        "skip": "add" if seen == width else "concat",
    }


DIALECTS = (
    Dialect(
        network="drcn",
        source="jiny2001",
        keys={
            "W-1_conv/conv_W_1": "head.0.weight",
            "W-1_conv/conv_B": "head.0.bias",
            "W0_conv/conv_W_1": "head.2.weight",
            "W0_conv/conv_B": "head.2.bias",
            "W_conv": "body.convs.0.weight",
            "B": "body.convs.0.bias",
            "WD1_conv_1": "tail.conv1.weight",
            "BD1": "tail.conv1.bias",
            "WD2_conv_1": "tail.conv2.weight",
            "BD2": "tail.conv2.bias",
            "LayerWeights": "average.weight",
        },
        read=_read,
        implied={"scale": 1, "value_range": 255.0, "reconstruction_act": True, "normalised_average": True},
    ),
)

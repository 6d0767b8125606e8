"""DRCN: port by jiny2001."""

from typing import Any

from ..layout import Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("W-1_conv/conv_W_1", size=3)
    _, tail_inputs, _ = view.kernel("WD2_conv_1", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "recursions": view.tensors["LayerWeights"].numel() if "LayerWeights" in view else 1,
        "skip": "add" if tail_inputs == width else "concat",
    }


LAYOUTS = (
    Layout(
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
        defaults={"scale": 1, "value_range": 255.0, "reconstruction_act": True, "normalized_average": True},
    ),
)

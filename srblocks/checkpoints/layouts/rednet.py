"""RED-Net: port by yjn870, for images that are upscaled already."""

from typing import Any

from ..layout import Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("conv_layers.0.0.weight", size=3)
    layers = view.count("conv_layers.{}.0.weight")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": 2 * layers,
        "skips": layers > 5,
        "_last": layers - 1,
    }


LAYOUTS = (
    Layout(
        network="rednet30",
        source="yjn870",
        keys={
            "conv_layers.0.0": "head.0",
            "conv_layers.{i}.0": "body.convs.{i-1}",
            "deconv_layers.{i}.0": "body.deconvs.{i}",
            "deconv_layers.{_last}": "tail",
        },
        read=_read,
        defaults={"scale": 1, "strides": "ends", "act_before_skip": True, "out_act": True, "value_range": 1.0},
    ),
)

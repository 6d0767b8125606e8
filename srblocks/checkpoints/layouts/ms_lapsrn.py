"""MS-LapSRN: the authors' MatConvNet files; tensor shapes are the same for any number of recursions."""

from typing import Any

from ..layout import Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("input_conv.weight", size=3)
    view.kernel("upconv.weight", size=3)
    return {"image_channels": image_channels, "width": width, "depth": view.count("conv{}.weight", start=1)}


LAYOUTS = (
    Layout(
        network="ms_lapsrn",
        source="the authors (MatConvNet)",
        keys={
            "input_conv": "head",
            "conv{i}": "levels.0.body.0.convs.{i-1}",
            "upconv": "levels.0.upsampler.deconv",
            "residual_conv": "levels.0.residual",
            "img_up": "levels.0.image_up.deconv",
        },
        read=_read,
        defaults={"value_range": 1.0},
        required={"recursions": "2, 5 or 8"},
    ),
)

"""MSRResNet: BasicSR."""

from typing import Any

from ..layout import Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("conv_first.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("body.{}.conv1.weight"),
        "scale": view.shuffle_factors("upconv{}.weight", width),
    }


LAYOUTS = (
    Layout(
        network="msrresnet",
        source="BasicSR",
        keys={
            "conv_first": "head.0",
            "body.{i}.conv1": "body.{i}.conv1",
            "body.{i}.conv2": "body.{i}.conv2",
            "upconv{k}": "upsampler.{3*k-3}",
            "conv_hr": "tail.0",
            "conv_last": "tail.2",
        },
        read=_read,
        defaults={"value_range": 1.0},
    ),
)

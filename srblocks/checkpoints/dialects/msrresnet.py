"""MSRResNet: BasicSR."""

from typing import Any

from ..dialect import Dialect, Layout


def _read(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("conv_first.weight", side=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": layout.count("body.{}.conv1.weight"),
        "scale": layout.factors("upconv{}.weight", width),
    }


DIALECTS = (
    Dialect(
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
        implied={"value_range": 1.0},
    ),
)

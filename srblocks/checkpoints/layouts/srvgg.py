"""SRVGGNetCompact: BasicSR and Real-ESRGAN, with the image skip; traiNNer-redux can leave it out."""

from typing import Any

from ..layout import Layout, LayoutMismatch, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("body.0.weight", size=3)
    last = view.indices("body.{}.weight")[-1]
    outputs, _, _ = view.kernel(f"body.{last}.weight", size=3)
    if last % 2 or last < 2:
        raise LayoutMismatch(f"body.{last} is the last layer")
    read = {
        "image_channels": image_channels,
        "width": width,
        "depth": last // 2 - 1,
        "scale": 1 if outputs == image_channels else view.shuffle_factor(f"body.{last}.weight", image_channels),
        "_last": last,
    }
    return {**read, "act": "prelu"} if view.indices("body.{}.weight")[1] == 1 else read


LAYOUTS = (
    Layout(
        network="compact",
        source="BasicSR",
        keys={
            "body.0": "head.0",
            "body.1": "head.1",
            "body.{_last}": "upsampler.0",
            "body.{k}": "body.{k-2}",
        },
        read=_read,
        defaults={"value_range": 1.0, "image_skip": True},
        required={"act": "relu or leaky_relu"},
    ),
)

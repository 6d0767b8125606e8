"""FSRCNN: port by yjn870; tensor shapes are the same at all scales."""

from typing import Any

from ..layout import Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("first_part.0.weight", size=5)
    shrunk_width, _, _ = view.kernel("mid_part.0.weight", size=1)
    view.kernel("last_part.weight", size=9)
    return {
        "image_channels": image_channels,
        "width": width,
        "shrunk_width": shrunk_width,
        "depth": len(view.indices("mid_part.{}.bias")) - 2,
    }


LAYOUTS = (
    Layout(
        network="fsrcnn",
        source="yjn870",
        keys={"first_part.{n}": "head.{n}", "mid_part.{n}": "body.{n}", "last_part": "upsampler.deconv"},
        read=_read,
        defaults={"value_range": 1.0},
        required={"scale": "2, 3 or 4"},
    ),
)

"""FSRCNN: yjn870's port, whose tensors are the same at every scale."""

from typing import Any

from ..layout import Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("first_part.0.weight", side=5)
    shrunk_width, _, _ = view.kernel("mid_part.0.weight", side=1)
    view.kernel("last_part.weight", side=9)
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

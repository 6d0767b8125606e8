"""FSRCNN: yjn870's port, whose tensors are the same at every scale."""

from typing import Any

from ..dialect import Dialect, Layout


def _read(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("first_part.0.weight", side=5)
    shrunk_width, _, _ = layout.kernel("mid_part.0.weight", side=1)
    layout.kernel("last_part.weight", side=9)
    return {
        "image_channels": image_channels,
        "width": width,
        "shrunk_width": shrunk_width,
        "depth": len(layout.indices("mid_part.{}.bias")) - 2,
    }


DIALECTS = (
    Dialect(
        network="fsrcnn",
        source="yjn870",
        keys={"first_part.{n}": "head.{n}", "mid_part.{n}": "body.{n}", "last_part": "upsampler.deconv"},
        read=_read,
        implied={"value_range": 1.0},
        unseen={"scale": "2, 3 or 4"},
    ),
)

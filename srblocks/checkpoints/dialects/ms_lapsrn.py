"""MS-LapSRN: the authors' MatConvNet files. Their tensors are the same for any number of recursions."""

from typing import Any

from ..dialect import Dialect, Layout


def _read(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("input_conv.weight", side=3)
    layout.kernel("upconv.weight", side=3)
    return {"image_channels": image_channels, "width": width, "depth": layout.count("conv{}.weight", start=1)}


DIALECTS = (
    Dialect(
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
        implied={"value_range": 1.0},
        unseen={"recursions": "2, 5 or 8"},
    ),
)

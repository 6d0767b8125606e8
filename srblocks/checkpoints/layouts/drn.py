"""DRN: the authors' code."""

from typing import Any

from ..layout import MEAN_SHIFT, Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("head.weight", size=3)
    depth = view.count("up_blocks.0.{}.body.0.weight")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": depth,
        "variant": "l" if depth > 30 else "s",
        "scale": 2 ** view.count("down.{}.dual_module.1.weight"),
        **view.mean_shift(),
    }


LAYOUTS = (
    Layout(
        network="drn_s",
        source="the authors",
        keys={
            **MEAN_SHIFT,
            "head": "head",
            "down.{p}.dual_module.0.0": "downs.{p}.0",
            "down.{p}.dual_module.1": "downs.{p}.2",
            "up_blocks.{p}.{b}.body.0": "ups.{p}.{b}.conv1",
            "up_blocks.{p}.{b}.body.2": "ups.{p}.{b}.conv2",
            "up_blocks.{p}.{b}.body.3.conv_du.0": "ups.{p}.{b}.attention.squeeze",
            "up_blocks.{p}.{b}.body.3.conv_du.2": "ups.{p}.{b}.attention.excite",
            "up_blocks.{p}.{depth}.0": "ups.{p}.{depth}.0",
            "up_blocks.{p}.{depth+1}": "ups.{p}.{depth+1}",
            "tail.{p}": "tails.{p}",
        },
        read=_read,
        required={"value_range": "255 or 1"},
    ),
)

"""MDSR: EDSR-PyTorch."""

from typing import Any

from ..layout import MEAN_SHIFT, Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("head.0.weight", size=3)
    branches = view.count("pre_process.{}.0.body.0.weight")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("body.{}.body.0.weight"),
        "scales": [view.shuffle_factors(f"upsample.{k}.{{}}.weight", width) for k in range(branches)],
        **view.mean_shift(),
    }


LAYOUTS = (
    Layout(
        network="mdsr_baseline",
        source="EDSR-PyTorch",
        keys={
            **MEAN_SHIFT,
            "head.0": "head.0",
            "pre_process.{k}.{j}.body.0": "head.1.branches.x{scales[k]}.{j}.conv1",
            "pre_process.{k}.{j}.body.2": "head.1.branches.x{scales[k]}.{j}.conv2",
            "body.{i}.body.0": "body.{i}.conv1",
            "body.{i}.body.2": "body.{i}.conv2",
            "body.{depth}": "body.{depth}",
            "upsample.{k}.{n}": "upsampler.branches.x{scales[k]}.{n}",
            "tail.0": "tail",
        },
        read=_read,
        required={"value_range": "255 or 1"},
    ),
)

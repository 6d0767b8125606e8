"""MDSR: EDSR-PyTorch."""

from typing import Any

from ..dialect import MEAN_SHIFT, Dialect, Layout


def _read(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("head.0.weight", side=3)
    branches = layout.count("pre_process.{}.0.body.0.weight")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": layout.count("body.{}.body.0.weight"),
        "scales": [layout.factors(f"upsample.{k}.{{}}.weight", width) for k in range(branches)],
        **layout.mean_shift(),
    }


DIALECTS = (
    Dialect(
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
        unseen={"value_range": "255 or 1"},
    ),
)

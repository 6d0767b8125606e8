"""EDSR: EDSR-PyTorch and its descendants; BasicSR."""

from typing import Any

from ..dialect import MEAN_SHIFT, Dialect, Facts, Layout


def _res_scale(facts: Facts) -> float | None:
    """0.1 at width 256, 1 up to 64."""  # Lim et al., section 3.3; both sources.
    if facts["width"] <= 64:
        return 1.0
    return 0.1 if facts["width"] == 256 else None


def _edsr_pytorch(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("head.0.weight", side=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": layout.count("body.{}.body.0.weight"),
        "scale": layout.factors("tail.0.{}.weight", width),
        **layout.mean_shift(),
    }


def _basicsr(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("conv_first.weight", side=3)
    layout.shape("conv_after_body.weight")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": layout.count("body.{}.conv1.weight"),
        "scale": layout.factors("upsample.{}.weight", width),
    }


DIALECTS = (
    Dialect(
        network="edsr_baseline",
        source="EDSR-PyTorch",
        keys={
            **MEAN_SHIFT,
            "head.0": "head",
            "body.{i}.body.0": "body.{i}.conv1",
            "body.{i}.body.2": "body.{i}.conv2",
            "body.{depth}": "body.{depth}",
            "tail.0.{k}": "upsampler.{k}",
            "tail.1": "tail",
        },
        read=_edsr_pytorch,
        implied={"res_scale": _res_scale},
        unseen={"res_scale": "1 or 0.1", "value_range": "255 or 1"},
    ),
    Dialect(
        network="edsr_baseline",
        source="BasicSR",
        keys={
            "conv_first": "head",
            "body.{i}.conv1": "body.{i}.conv1",
            "body.{i}.conv2": "body.{i}.conv2",
            "conv_after_body": "body.{depth}",
            "upsample.{k}": "upsampler.{k}",
            "conv_last": "tail",
        },
        read=_basicsr,
        implied={"value_range": 255.0, "mean_shift": True, "res_scale": _res_scale},
        unseen={"res_scale": "1 or 0.1"},
        absent=("normalise.", "denormalise."),
    ),
)

"""EDSR: EDSR-PyTorch and code derived from it; BasicSR."""

from typing import Any

from ..layout import MEAN_SHIFT, Facts, Layout, StateDictView


def _res_scale(facts: Facts) -> float | None:
    """0.1 at width 256, 1 up to width 64."""  # Lim et al., section 3.3; both sources
    if facts["width"] <= 64:
        return 1.0
    return 0.1 if facts["width"] == 256 else None


def _edsr_pytorch(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("head.0.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("body.{}.body.0.weight"),
        "scale": view.shuffle_factors("tail.0.{}.weight", width),
        **view.mean_shift(),
    }


def _basicsr(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("conv_first.weight", size=3)
    view.shape("conv_after_body.weight")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("body.{}.conv1.weight"),
        "scale": view.shuffle_factors("upsample.{}.weight", width),
    }


LAYOUTS = (
    Layout(
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
        defaults={"res_scale": _res_scale},
        required={"res_scale": "1 or 0.1", "value_range": "255 or 1"},
    ),
    Layout(
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
        defaults={"value_range": 255.0, "mean_shift": True, "res_scale": _res_scale},
        required={"res_scale": "1 or 0.1"},
        constant_keys=("normalise.", "denormalise."),
    ),
)

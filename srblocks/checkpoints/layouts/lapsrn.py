"""LapSRN: the authors' MatConvNet files, and the port by twtygqyy."""

from typing import Any

from ..layout import Layout, StateDictView


def _official(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("input_conv.weight", size=3)
    _, _, upconv_kernel = view.kernel("level1_upconv.weight")
    levels = view.count("level{}_upconv.weight", start=1)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("level1_conv{}.weight", start=1),
        "upconv_kernel": upconv_kernel,
        "bias": "input_conv.bias" in view,
        "scale": 2**levels,
        "_levels": levels,
    }


def _twtygqyy(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("conv_input.weight", size=3)
    indices = view.indices("convt_F1.0.cov_block.{}.weight")
    last = 2 * len(indices) - 2
    _, _, upconv_kernel = view.kernel(f"convt_F1.0.cov_block.{last}.weight")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": last // 2,
        "upconv_kernel": upconv_kernel,
        "bias": "conv_input.bias" in view,
        "scale": 2 ** view.count("convt_R{}.weight", start=1),
        "_last": last,
    }


LAYOUTS = (
    Layout(
        network="lapsrn",
        source="the authors (MatConvNet)",
        keys={
            "input_conv": "head.0",
            "level{p}_conv{i}": "levels.{_levels-p}.body.{2*i-2}",
            "level{p}_upconv": "levels.{_levels-p}.upsampler.deconv",
            "level{p}_residual_conv": "levels.{_levels-p}.residual",
            "level{p}_img_up": "levels.{_levels-p}.image_up.deconv",
        },
        read=_official,
        defaults={"value_range": 1.0},
    ),
    Layout(
        network="lapsrn",
        source="twtygqyy",
        keys={
            "conv_input": "head.0",
            "convt_F{p}.0.cov_block.{_last}": "levels.{p-1}.upsampler.deconv",
            "convt_F{p}.0.cov_block.{i}": "levels.{p-1}.body.{i}",
            "convt_R{p}": "levels.{p-1}.residual",
            "convt_I{p}": "levels.{p-1}.image_up.deconv",
        },
        read=_twtygqyy,
        defaults={"value_range": 1.0},
    ),
)

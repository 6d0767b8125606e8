"""LapSRN: the authors' MatConvNet files and twtygqyy's port."""

from typing import Any

from ..dialect import Dialect, Layout


def _official(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("input_conv.weight", side=3)
    _, _, upconv_kernel = layout.kernel("level1_upconv.weight")
    levels = layout.count("level{}_upconv.weight", start=1)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": layout.count("level1_conv{}.weight", start=1),
        "upconv_kernel": upconv_kernel,
        "bias": "input_conv.bias" in layout,
        "scale": 2**levels,
        "_levels": levels,
    }


def _twtygqyy(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("conv_input.weight", side=3)
    indices = layout.indices("convt_F1.0.cov_block.{}.weight")
    last = 2 * len(indices) - 2
    _, _, upconv_kernel = layout.kernel(f"convt_F1.0.cov_block.{last}.weight")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": last // 2,
        "upconv_kernel": upconv_kernel,
        "bias": "conv_input.bias" in layout,
        "scale": 2 ** layout.count("convt_R{}.weight", start=1),
        "_last": last,
    }


DIALECTS = (
    Dialect(
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
        implied={"value_range": 1.0},
    ),
    Dialect(
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
        implied={"value_range": 1.0},
    ),
)

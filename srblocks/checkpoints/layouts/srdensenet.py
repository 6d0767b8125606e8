"""SRDenseNet: port by yjn870."""

from typing import Any

from ..layout import Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("conv.conv.weight", size=3)
    growth, _, _ = view.kernel("dense_blocks.0.block.0.conv.weight", size=3)
    upsampler_width, _, deconv_kernel = view.kernel("deconv.0.weight")
    return {
        "image_channels": image_channels,
        "width": width,
        "growth": growth,
        "depth": view.count("dense_blocks.0.block.{}.conv.weight"),
        "blocks": view.count("dense_blocks.{}.block.0.conv.weight"),
        "upsampler_width": upsampler_width,
        "deconv_kernel": deconv_kernel,
        "scale": 2 ** len(view.indices("deconv.{}.weight")),
    }


LAYOUTS = (
    Layout(
        network="srdensenet",
        source="yjn870",
        keys={
            "conv.conv": "head.0",
            "dense_blocks.{b}.block.{i}.conv": "body.0.layers.{b}.layers.{i}.0",
            "bottleneck.0": "body.1",
            "deconv.0": "upsampler.0.deconv",
            "deconv.2": "upsampler.1.deconv",
            "deconv.4": "upsampler.2.deconv",
            "reconstruction": "tail",
        },
        read=_read,
        defaults={"skips": "all", "dense_input": False, "bias": True, "value_range": 1.0},
    ),
)

"""RCAN: the authors' code, BasicSR, and the port by yjn870."""

from typing import Any

from ..layout import MEAN_SHIFT, Layout, LayoutMismatch, StateDictView


def _authors(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("head.0.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "groups": view.count("body.{}.body.0.body.0.weight"),
        "blocks_per_group": view.count("body.0.body.{}.body.0.weight"),
        "reduction": width // view.kernel("body.0.body.0.body.3.conv_du.0.weight")[0],
        "scale": view.shuffle_factors("tail.0.{}.weight", width),
        **view.mean_shift(),
    }


def _basicsr(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("conv_first.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "groups": view.count("body.{}.conv.weight"),
        "blocks_per_group": view.count("body.0.residual_group.{}.rcab.0.weight"),
        "reduction": width // view.kernel("body.0.residual_group.0.rcab.3.attention.1.weight")[0],
        "scale": view.shuffle_factors("upsample.{}.weight", width),
    }


def _yjn870(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("sf.weight", size=3)
    scale = view.shuffle_factor("upscale.0.weight", width)
    if scale not in (2, 3):
        raise LayoutMismatch(f"upscale.0 is a single x{scale} pixel shuffle, not a chain of x2 and x3")
    return {
        "image_channels": image_channels,
        "width": width,
        "groups": view.count("rgs.{}.module.0.module.0.weight"),
        "blocks_per_group": view.count("rgs.0.module.{}.module.0.weight"),
        "reduction": width // view.kernel("rgs.0.module.0.module.3.module.1.weight")[0],
        "scale": scale,
    }


LAYOUTS = (
    Layout(
        network="rcan",
        source="the authors",
        keys={
            **MEAN_SHIFT,
            "head.0": "head",
            "body.{g}.body.{b}.body.0": "body.{g}.body.{b}.conv1",
            "body.{g}.body.{b}.body.2": "body.{g}.body.{b}.conv2",
            "body.{g}.body.{b}.body.3.conv_du.0": "body.{g}.body.{b}.attention.squeeze",
            "body.{g}.body.{b}.body.3.conv_du.2": "body.{g}.body.{b}.attention.excite",
            "body.{g}.body.{blocks_per_group}": "body.{g}.body.{blocks_per_group}",
            "body.{groups}": "body.{groups}",
            "tail.0.{k}": "upsampler.{k}",
            "tail.1": "tail",
        },
        read=_authors,
        required={"value_range": "255 or 1"},
    ),
    Layout(
        network="rcan",
        source="BasicSR",
        keys={
            "conv_first": "head",
            "body.{g}.residual_group.{b}.rcab.0": "body.{g}.body.{b}.conv1",
            "body.{g}.residual_group.{b}.rcab.2": "body.{g}.body.{b}.conv2",
            "body.{g}.residual_group.{b}.rcab.3.attention.1": "body.{g}.body.{b}.attention.squeeze",
            "body.{g}.residual_group.{b}.rcab.3.attention.3": "body.{g}.body.{b}.attention.excite",
            "body.{g}.conv": "body.{g}.body.{blocks_per_group}",
            "conv_after_body": "body.{groups}",
            "upsample.{k}": "upsampler.{k}",
            "conv_last": "tail",
        },
        read=_basicsr,
        defaults={"value_range": 255.0, "mean_shift": True},
        constant_keys=("normalise.", "denormalise."),
    ),
    Layout(
        network="rcan",
        source="yjn870",
        keys={
            "sf": "head",
            "rgs.{g}.module.{b}.module.0": "body.{g}.body.{b}.conv1",
            "rgs.{g}.module.{b}.module.2": "body.{g}.body.{b}.conv2",
            "rgs.{g}.module.{b}.module.3.module.1": "body.{g}.body.{b}.attention.squeeze",
            "rgs.{g}.module.{b}.module.3.module.3": "body.{g}.body.{b}.attention.excite",
            "rgs.{g}.module.{blocks_per_group}": "body.{g}.body.{blocks_per_group}",
            "conv1": "body.{groups}",
            "upscale.0": "upsampler.0",
            "conv2": "tail",
        },
        read=_yjn870,
        defaults={"mean_shift": False, "value_range": 1.0},
    ),
)

"""ESPCN: ports by yjn870 and Nhat-Thanh, and the PyTorch tutorial."""

from typing import Any

from ..layout import Layout, LayoutMismatch, StateDictView


def _read(view: StateDictView, first: str, last: str) -> dict[str, Any]:
    width, image_channels, _ = view.kernel(first, size=5)
    view.kernel(last, size=3)
    return {"image_channels": image_channels, "width": width, "scale": view.shuffle_factor(last, image_channels)}


def _yjn870(view: StateDictView) -> dict[str, Any]:
    return _read(view, "first_part.0.weight", "last_part.0.weight")


def _nhat_thanh(view: StateDictView) -> dict[str, Any]:
    facts = _read(view, "conv_1.weight", "conv_3.weight")
    return {**facts, "color": "ycbcr" if facts["image_channels"] == 3 else "y"}


def _tutorial(view: StateDictView) -> dict[str, Any]:
    facts = _read(view, "conv1.weight", "conv4.weight")
    if facts["image_channels"] != 1:
        raise LayoutMismatch("the tutorial's network processes luma; RGB ports with these names have other activations")
    return facts


LAYOUTS = (
    Layout(
        network="espcn",
        source="yjn870",
        keys={"first_part.0": "head.0", "first_part.2": "body.0", "last_part.0": "upsampler.0"},
        read=_yjn870,
        defaults={"act": "tanh", "value_range": 1.0},
    ),
    Layout(
        network="espcn",
        source="Nhat-Thanh",
        keys={"conv_1": "head.0", "conv_2": "body.0", "conv_3": "upsampler.0"},
        read=_nhat_thanh,
        defaults={"act": "tanh", "value_range": 1.0},
    ),
    Layout(
        network="espcn",
        source="PyTorch's tutorial",
        keys={"conv1": "head.0", "conv2": "body.0", "conv3": "body.2", "conv4": "upsampler.0"},
        read=_tutorial,
        defaults={"act": "relu", "depth": 3, "value_range": 1.0},
    ),
)

"""DBPN: the authors' code, all variants; EDSR-PyTorch."""

from typing import Any

from ..layout import MEAN_SHIFT, Layout, LayoutMismatch, StateDictView

_SCALES = {6: 2, 8: 4, 12: 8}
"""Kernel size of the projections -> scale."""

_UP = {
    "up_conv1.deconv": "up1.deconv",
    "up_conv1.act": "up1.act",
    "up_conv2.conv": "down.0",
    "up_conv2.act": "down.1",
    "up_conv3.deconv": "up2.deconv",
    "up_conv3.act": "up2.act",
    "conv.conv": "bottleneck.0",
    "conv.act": "bottleneck.1",
}
_DOWN = {
    "down_conv1.conv": "down1.0",
    "down_conv1.act": "down1.1",
    "down_conv2.deconv": "up.deconv",
    "down_conv2.act": "up.act",
    "down_conv3.conv": "down2.0",
    "down_conv3.act": "down2.1",
    "conv.conv": "bottleneck.0",
    "conv.act": "bottleneck.1",
}


def _read(view: StateDictView, *, recursive: bool) -> dict[str, Any]:
    head_width, image_channels, _ = view.kernel("feat0.conv.weight", size=3)
    width, _, _ = view.kernel("feat1.conv.weight", size=1)
    _, _, size = view.kernel("up1.up_conv1.deconv.weight")
    _, channels, _ = view.kernel("output_conv.conv.weight", size=3)
    if size not in _SCALES:
        raise LayoutMismatch(f"up1.up_conv1 has kernel size {size}")
    stages = view.count("up{}.up_conv1.deconv.weight", start=1)
    if recursive == (channels == stages * width):
        raise LayoutMismatch(f"output_conv has {channels} input channels")
    return {
        "image_channels": image_channels,
        "width": width,
        "head_width": head_width,
        "stages": stages,
        "recursions": channels // width if recursive else None,
        "scale": _SCALES[size],
    }


def _single(view: StateDictView) -> dict[str, Any]:
    return _read(view, recursive=False)


def _recursive(view: StateDictView) -> dict[str, Any]:
    return _read(view, recursive=True)


def _edsr_pytorch(view: StateDictView) -> dict[str, Any]:
    head_width, image_channels, _ = view.kernel("initial.0.weight", size=3)
    width, _, _ = view.kernel("initial.2.weight", size=1)
    _, _, size = view.kernel("upmodules.0.conv_1.0.weight")
    if size not in _SCALES:
        raise LayoutMismatch(f"upmodules.0.conv_1 has kernel size {size}")
    return {
        "image_channels": image_channels,
        "width": width,
        "head_width": head_width,
        "stages": view.count("upmodules.{}.conv_1.0.weight"),
        "scale": _SCALES[size],
        **view.mean_shift(),
    }


def _edsr_pytorch_unit(theirs: str, ours: str, places: dict[str, str]) -> dict[str, str]:
    """Return the keys of one projection."""
    return {f"{theirs}.{name}": f"{ours}.{place}" for name, place in places.items()}


_EDSR_PYTORCH_UP = {
    "bottleneck.{n}": "bottleneck.{n}",
    "conv_1.0": "up1.deconv",
    "conv_1.1": "up1.act",
    "conv_2.{n}": "down.{n}",
    "conv_3.0": "up2.deconv",
    "conv_3.1": "up2.act",
}
_EDSR_PYTORCH_DOWN = {
    "bottleneck.{n}": "bottleneck.{n}",
    "conv_1.{n}": "down1.{n}",
    "conv_2.0": "up.deconv",
    "conv_2.1": "up.act",
    "conv_3.{n}": "down2.{n}",
}

_KEYS = {
    "feat0.conv": "head.0",
    "feat0.act": "head.1",
    "feat1.conv": "head.2",
    "feat1.act": "head.3",
    **{f"up1.{theirs}": f"first.{ours}" for theirs, ours in _UP.items()},
    **{f"down{{i}}.{theirs}": f"downs.{{i-1}}.{ours}" for theirs, ours in _DOWN.items()},
    **{f"up{{i}}.{theirs}": f"ups.{{i-2}}.{ours}" for theirs, ours in _UP.items()},
    "output_conv.conv": "tail",
}
_DEFAULTS = {"newest_first": True, "shared_slope": True, "mean_shift": False, "value_range": 1.0}

LAYOUTS = (
    Layout(network="dbpn", source="the authors", keys=_KEYS, read=_single, defaults={**_DEFAULTS, "image_skip": False}),
    Layout(
        network="dbpn_res_mr64_3",
        source="the authors",
        keys=_KEYS,
        read=_recursive,
        defaults={**_DEFAULTS, "image_skip": True},
    ),
    Layout(
        network="dbpn",
        source="EDSR-PyTorch",
        keys={
            **MEAN_SHIFT,
            "initial.{n}": "head.{n}",
            **_edsr_pytorch_unit("upmodules.0", "first", _EDSR_PYTORCH_UP),
            **_edsr_pytorch_unit("upmodules.{i}", "ups.{i-1}", _EDSR_PYTORCH_UP),
            **_edsr_pytorch_unit("downmodules.{i}", "downs.{i}", _EDSR_PYTORCH_DOWN),
            "reconstruction.0": "tail",
        },
        read=_edsr_pytorch,
        defaults={"newest_first": False, "shared_slope": False, "image_skip": False},
        required={"value_range": "255 or 1"},
    ),
)

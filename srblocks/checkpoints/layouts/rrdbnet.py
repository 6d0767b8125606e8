"""RRDBNet: BasicSR and Real-ESRGAN ("new"), ESRGAN ("middle"), and ESRGAN's first code ("old"), also of ESRGAN+."""

from math import isqrt
from typing import Any

from ..layout import Layout, LayoutMismatch, StateDictView


def _read(view: StateDictView, first: str, trunk: str, last: str, steps: int) -> dict[str, Any]:
    """Read the shapes; `trunk` is the name of a dense block, `last` that of the last convolution."""
    width, inputs, _ = view.kernel(f"{first}.weight", size=3)
    image_channels, _, _ = view.kernel(f"{last}.weight", size=3)
    growth, _, _ = view.kernel(f"{trunk.format(0)}.weight", size=3)
    factor = isqrt(inputs // image_channels)
    if factor not in (1, 2, 4) or factor**2 * image_channels != inputs or (factor > 1 and steps != 2):
        raise LayoutMismatch(f"{first} has {inputs} input channels, {last} {image_channels} output channels")
    scale = 2**steps // factor
    read = {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count(f"{trunk}.weight"),
        "growth": growth,
        "unshuffle": factor > 1 or scale > 2,
        "_first": int(factor > 1),
    }
    return read if steps == 1 else {**read, "scale": scale}


def _basicsr(view: StateDictView) -> dict[str, Any]:
    return _read(view, "conv_first", "body.{}.rdb1.conv1", "conv_last", len(view.indices("conv_up{}.weight")))


def _esrgan(view: StateDictView) -> dict[str, Any]:
    return _read(view, "conv_first", "RRDB_trunk.{}.RDB1.conv1", "conv_last", len(view.indices("upconv{}.weight")))


def _old(view: StateDictView) -> dict[str, Any]:
    steps = len(view.indices("model.{}.weight")) - 3
    read = _read(view, "model.0", "model.1.sub.{}.RDB1.conv1.0", f"model.{3 * steps + 4}", steps)
    return {
        **read,
        "plus": "model.1.sub.0.RDB1.conv1x1.weight" in view,
        "_hidden": 3 * steps + 2,
        "_last": 3 * steps + 4,
    }


_BLOCK = "body.{i}.blocks.{j-1}"
# A single step of nearest-neighbor upsampling can be x2 or, rarely, x3; the tensors are the same.
_DEFAULTS = {"value_range": 1.0, "scale": 2}

LAYOUTS = (
    Layout(
        network="rrdbnet",
        source="BasicSR",
        keys={
            "conv_first": "head.{_first}",
            "body.{i}.rdb{j}.conv5": f"{_BLOCK}.fuse",
            "body.{i}.rdb{j}.conv{k}": f"{_BLOCK}.dense.layers.{{k-1}}.0",
            "conv_body": "body.{depth}",
            "conv_up{k}": "upsampler.{3*k-2}",
            "conv_hr": "tail.0",
            "conv_last": "tail.2",
        },
        read=_basicsr,
        defaults={**_DEFAULTS, "plus": False},
    ),
    Layout(
        network="rrdbnet",
        source="ESRGAN",
        keys={
            "conv_first": "head.{_first}",
            "RRDB_trunk.{i}.RDB{j}.conv5": f"{_BLOCK}.fuse",
            "RRDB_trunk.{i}.RDB{j}.conv{k}": f"{_BLOCK}.dense.layers.{{k-1}}.0",
            "trunk_conv": "body.{depth}",
            "upconv{k}": "upsampler.{3*k-2}",
            "HRconv": "tail.0",
            "conv_last": "tail.2",
        },
        read=_esrgan,
        defaults={**_DEFAULTS, "plus": False},
    ),
    Layout(
        network="rrdbnet",
        source="the first code of ESRGAN",
        keys={
            "model.0": "head.{_first}",
            "model.1.sub.{i}.RDB{j}.conv1x1": f"{_BLOCK}.dense.project",
            "model.1.sub.{i}.RDB{j}.conv5.0": f"{_BLOCK}.fuse",
            "model.1.sub.{i}.RDB{j}.conv{k}.0": f"{_BLOCK}.dense.layers.{{k-1}}.0",
            "model.1.sub.{depth}": "body.{depth}",
            "model.{_hidden}": "tail.0",
            "model.{_last}": "tail.2",
            "model.{m}": "upsampler.{m-2}",
        },
        read=_old,
        defaults=_DEFAULTS,
    ),
)

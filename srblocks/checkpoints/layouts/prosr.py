"""ProSR: the authors' reimplementation, both sizes."""

from typing import Any

from ..layout import Layout, StateDictView

_PYRAMID = "pyramid_residual_{p}"
_BODY = "levels.{p-1}.body"
_KEYS = {
    "init_conv_{p}.conv.1": "head.branches.x{scales[p-1]}",
    f"{_PYRAMID}.compression_{{k}}.conv1": f"{_BODY}.0",
    f"{_PYRAMID}.final_conv.final_conv.conv.1": f"{_BODY}.{{_last[p-1]}}",
    f"{_PYRAMID}_residual_upsampler.m.0.conv.1": "levels.{p-1}.upsampler.0",
    "reconst_{p}.final_conv.conv.1": "tail.branches.x{scales[p-1]}",
}


def _read(view: StateDictView, block: str, dense: str, *, residual: bool) -> dict[str, Any]:
    """Read one size; from the second pyramid level on, a compression convolution precedes the blocks."""
    width, image_channels, _ = view.kernel("init_conv_1.conv.1.weight", size=3)
    layer = f"pyramid_residual_{{}}.{block}_{{}}.{dense}.denselayer{{}}.conv_2.conv.1.weight"
    growth, _, _ = view.kernel(layer.format(1, 1, 1), size=3)
    pyramids = range(1, view.count(layer.format("{}", 1, 1), start=1) + 1)
    blocks = [view.count(layer.format(p, "{}", 1), start=1) for p in pyramids]
    first = [0] + [1] * (len(blocks) - 1)
    return {
        "image_channels": image_channels,
        "width": width,
        "growth": growth,
        "blocks": blocks,
        "depth": view.count(layer.format(1, 1, "{}"), start=1),
        "residual": residual,
        "scales": [2**p for p in pyramids],
        "_first": first,
        "_last": [start + (n if residual else 2 * n - 1) for start, n in zip(first, blocks, strict=True)],
    }


def _large(view: StateDictView) -> dict[str, Any]:
    return _read(view, "residual_denseblock", "dense_block", residual=True)


def _small(view: StateDictView) -> dict[str, Any]:
    return _read(view, "denseblock", "dense", residual=False)


_LARGE = f"{_PYRAMID}.residual_denseblock_{{b}}"
_LARGE_BLOCK = f"{_BODY}.{{b-1+_first[p-1]}}"
_SMALL = f"{_PYRAMID}.denseblock_{{b}}"
_CONSTANT_KEYS = ("normalise.", "denormalise.")
_DEFAULTS = {"mean_shift": True, "image_skip": True, "value_range": 1 / 0.0039215}

LAYOUTS = (
    Layout(
        network="prosr_l",
        source="the authors",
        keys={
            **_KEYS,
            f"{_LARGE}.dense_block.denselayer{{i}}.conv_1": f"{_LARGE_BLOCK}.dense.layers.{{i-1}}.0",
            f"{_LARGE}.dense_block.denselayer{{i}}.conv_2.conv.1": f"{_LARGE_BLOCK}.dense.layers.{{i-1}}.2",
            f"{_LARGE}.comp.conv1": f"{_LARGE_BLOCK}.fuse",
        },
        read=_large,
        defaults=_DEFAULTS,
        constant_keys=_CONSTANT_KEYS,
    ),
    Layout(
        network="prosr_s",
        source="the authors",
        keys={
            **_KEYS,
            f"{_SMALL}.dense.denselayer{{i}}.conv_1": f"{_BODY}.{{2*b-2+_first[p-1]}}.layers.{{i-1}}.0",
            f"{_SMALL}.dense.denselayer{{i}}.conv_2.conv.1": f"{_BODY}.{{2*b-2+_first[p-1]}}.layers.{{i-1}}.2",
            f"{_SMALL}.comp.conv1": f"{_BODY}.{{2*b-1+_first[p-1]}}",
        },
        read=_small,
        defaults=_DEFAULTS,
        constant_keys=_CONSTANT_KEYS,
    ),
)

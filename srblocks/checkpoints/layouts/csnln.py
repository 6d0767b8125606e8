"""CSNLN: the authors' code."""

from typing import Any

from ..layout import MEAN_SHIFT, Layout, LayoutMismatch, StateDictView

_SECOND = "SEM.multi_source_projection_2"


def _multi_source(theirs: str, ours: str) -> dict[str, str]:
    """Return the keys of one multi-source projection."""
    return {
        f"{theirs}.up_attention.conv_match_1.{{n}}": f"{ours}.cross_scale.query.{{n}}",
        f"{theirs}.up_attention.conv_match_2.{{n}}": f"{ours}.cross_scale.key.{{n}}",
        f"{theirs}.up_attention.conv_assembly.{{n}}": f"{ours}.cross_scale.value.{{n}}",
        f"{theirs}.down_attention.conv_match1.{{n}}": f"{ours}.in_scale.query.{{n}}",
        f"{theirs}.down_attention.conv_match2.{{n}}": f"{ours}.in_scale.key.{{n}}",
        f"{theirs}.down_attention.conv_assembly.{{n}}": f"{ours}.in_scale.value.{{n}}",
        f"{theirs}.upsample.0": f"{ours}.up.deconv",
        f"{theirs}.upsample.1": f"{ours}.up.act",
        f"{theirs}.encoder.body.0": f"{ours}.correct.conv1",
        f"{theirs}.encoder.body.1": f"{ours}.correct.act",
        f"{theirs}.encoder.body.2": f"{ours}.correct.conv2",
    }


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("head.0.0.weight", size=3)
    _, channels, _ = view.kernel("tail.0.weight", size=3)
    _, _, size = view.kernel("SEM.down_sample_1.0.weight")
    if size not in (6, 9):
        raise LayoutMismatch(f"SEM.down_sample_1 has kernel size {size}")
    scale = 3 if size == 9 else 2
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": channels // width,
        "scale": 4 if f"{_SECOND}.upsample.0.weight" in view else scale,
        **view.mean_shift(),
    }


LAYOUTS = (
    Layout(
        network="csnln",
        source="the authors",
        keys={
            **MEAN_SHIFT,
            "head.{i}.{n}": "head.{2*i+n}",
            **_multi_source("SEM.multi_source_projection", "body.first.enlarge"),
            "SEM.down_sample_1.{n}": "body.first.down.{n}",
            "SEM.error_encode.0": "body.first.up.deconv",
            "SEM.error_encode.1": "body.first.up.act",
            **_multi_source(_SECOND, "body.second.enlarge"),
            "SEM.down_sample_3.{n}": "body.second.down.{n}",
            "SEM.error_encode_2.0": "body.second.up.deconv",
            "SEM.error_encode_2.1": "body.second.up.act",
            "SEM.down_sample_2.{n}": "body.back.0.{n}",
            "SEM.down_sample_4.{n}": "body.back.0.{n}",
            "SEM.post_conv.0": "body.back.1",
            "SEM.post_conv.1": "body.back.2",
            "tail.0": "tail",
        },
        read=_read,
        defaults={"value_range": 1.0},
        unused_keys=("SEM.multi_source_projection.up_attention.escape_NaN", f"{_SECOND}.up_attention.escape_NaN"),
    ),
)

"""RealPLKSR: traiNNer-redux and neosr, with either normalization and upsampler."""

from math import isqrt
from typing import Any

import torch

from ...upsampling.dysample import start_positions
from ..layout import Layout, LayoutMismatch, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("feats.0.weight", size=3)
    convolved, _, kernel_size = view.kernel("feats.1.lk.conv.weight")
    depth = view.count("feats.{}.channel_mixer.0.weight", start=1)
    outputs, _, _ = view.kernel(f"feats.{depth + 2}.weight", size=3)
    scale = isqrt(outputs // image_channels)
    norm = "layer" if "feats.1.layer_norm.weight" in view else "group"
    dysample = "to_img.offset.weight" in view
    if scale**2 * image_channels != outputs or (norm == "group" and "feats.1.norm.weight" not in view):
        raise LayoutMismatch(f"feats.{depth + 2}.weight has {outputs} output channels")
    if dysample:
        _check_positions(view, scale)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": depth,
        "kernel_size": kernel_size,
        "split": convolved / width,
        "attention": "feats.1.attn.f.0.weight" in view,
        "norm": norm,
        "upsampling": "dysample" if dysample else "pixel_shuffle",
        "scale": scale,
    }


def _check_positions(view: StateDictView, scale: int) -> None:
    """Check that the stored positions are those of `DySample`.

    Raises:
        LayoutMismatch: they are others.
    """
    if "to_img.init_pos" not in view:
        return
    stored = view.tensors["to_img.init_pos"].double().flatten()
    expected = start_positions(scale, groups=stored.numel() // (2 * scale**2)).flatten()
    if stored.shape != expected.shape or not torch.allclose(stored, expected, rtol=0, atol=1e-3):
        raise LayoutMismatch("to_img.init_pos holds other positions")


_BLOCK = "body.layers.{i}"

LAYOUTS = (
    Layout(
        network="realplksr",
        source="traiNNer-redux and neosr",
        keys={
            "feats.0": "body.layers.0",
            "feats.{i}.layer_norm": f"{_BLOCK}.norm1",
            "feats.{i}.channel_mixer.{k}": f"{_BLOCK}.mixer.{{k}}",
            "feats.{i}.lk.conv": f"{_BLOCK}.large.conv",
            "feats.{i}.attn.f.0": f"{_BLOCK}.attention.conv",
            "feats.{i}.refine": f"{_BLOCK}.refine",
            "feats.{i}.norm": f"{_BLOCK}.norm2",
            "feats.{depth+2}": "body.layers.{depth+1}",
            "to_img.offset": "upsampler.offset",
            "to_img.scope": "upsampler.scope",
            "to_img.end_conv": "upsampler.end",
        },
        read=_read,
        defaults={"value_range": 1.0},
        unused_keys=("to_img.init_pos",),
    ),
)

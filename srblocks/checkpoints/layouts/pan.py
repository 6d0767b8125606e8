"""PAN: the authors' code; x2 and x3 have the same tensors."""

from typing import Any

from ..layout import Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("conv_first.weight", size=3)
    upsampler_width, _, _ = view.kernel("upconv1.weight", size=3)
    read = {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("SCPA_trunk.{}.conv3.weight"),
        "upsampler_width": upsampler_width,
    }
    return {**read, "scale": 4} if "upconv2.weight" in view else read


_BLOCK = "body.{i}"

LAYOUTS = (
    Layout(
        network="pan",
        source="the authors",
        keys={
            "conv_first": "head",
            "SCPA_trunk.{i}.conv1_a": f"{_BLOCK}.reduce_a",
            "SCPA_trunk.{i}.conv1_b": f"{_BLOCK}.reduce_b",
            "SCPA_trunk.{i}.k1.0": f"{_BLOCK}.conv_a",
            "SCPA_trunk.{i}.PAConv.k2": f"{_BLOCK}.gate",
            "SCPA_trunk.{i}.PAConv.k3": f"{_BLOCK}.conv_b1",
            "SCPA_trunk.{i}.PAConv.k4": f"{_BLOCK}.conv_b2",
            "SCPA_trunk.{i}.conv3": f"{_BLOCK}.fuse",
            "trunk_conv": "body.{depth}",
            "upconv{k}": "upsampler.{6*k-5}",
            "att{k}.conv": "upsampler.{6*k-4}.conv",
            "HRconv{k}": "upsampler.{6*k-2}",
            "conv_last": "tail",
        },
        read=_read,
        defaults={"value_range": 1.0},
        required={"scale": "2 or 3"},
    ),
)

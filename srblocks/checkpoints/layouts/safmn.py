"""SAFMN and SAFMN++: the authors' code and that of the NTIRE 2024 challenge."""

from typing import Any

from ..layout import Layout, StateDictView


def _safmn(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("to_feat.weight", size=3)
    hidden, _, _ = view.kernel("feats.0.ccm.ccm.0.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("feats.{}.safm.aggr.weight"),
        "expansion": hidden / width,
        "scale": view.shuffle_factor("to_img.0.weight", image_channels),
    }


def _plus(view: StateDictView, mixer: str) -> dict[str, Any]:
    """Read SAFMN++; `mixer` is the name of the first convolution of a mixer."""
    width, image_channels, _ = view.kernel("to_feat.weight", size=3)
    hidden, _, _ = view.kernel(f"feats.0.{mixer}.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("feats.{}.conv1.proj.weight"),
        "expansion": hidden / width,
        "scale": view.shuffle_factor("to_img.0.weight", image_channels),
    }


def _safmnpp(view: StateDictView) -> dict[str, Any]:
    return _plus(view, "conv2.conv1")


def _light(view: StateDictView) -> dict[str, Any]:
    return _plus(view, "conv2.conv.0")


_MODULATION = {
    "to_feat": "head",
    "feats.{i}.conv1.proj": "body.{i}.modulation.project",
    "feats.{i}.conv1.dwconv": "body.{i}.modulation.filter",
    "feats.{i}.conv1.out": "body.{i}.modulation.fuse",
    "to_img.0": "upsampler.0",
}
_UNIT = {"value_range": 1.0}

LAYOUTS = (
    Layout(
        network="safmn",
        source="the authors",
        keys={
            "to_feat": "head",
            "feats.{i}.norm{k}": "body.{i}.norm{k}",
            "feats.{i}.safm.mfr.{k}": "body.{i}.modulation.filters.{k}",
            "feats.{i}.safm.aggr": "body.{i}.modulation.fuse",
            "feats.{i}.ccm.ccm.{k}": "body.{i}.mixer.{k}",
            "to_img.0": "upsampler.0",
        },
        read=_safmn,
        defaults=_UNIT,
    ),
    Layout(
        network="safmnpp",
        source="NTIRE 2024",
        keys={**_MODULATION, "feats.{i}.conv2.conv1": "body.{i}.mixer.0", "feats.{i}.conv2.conv2": "body.{i}.mixer.2"},
        read=_safmnpp,
        defaults={**_UNIT, "light": False},
    ),
    Layout(
        network="safmnpp_light",
        source="the authors",
        keys={**_MODULATION, "feats.{i}.conv2.conv.{k}": "body.{i}.mixer.{k}"},
        read=_light,
        defaults={**_UNIT, "light": True},
    ),
)

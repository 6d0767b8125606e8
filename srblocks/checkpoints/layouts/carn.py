"""CARN and CARN-M: the authors' code, for several scales or a single one."""

from typing import Any

from ..layout import Layout, LayoutMismatch, StateDictView

_KEYS = {
    "sub_mean.shifter": "normalise.{_shift}",
    "add_mean.shifter": "denormalise.0",
    "entry": "head",
    "b{i}.c{j}.body.0": "body.blocks.{i-1}.fuses.{j-1}.0",
    "c{j}.body.0": "body.fuses.{j-1}.0",
    "upsample.up.body.{k}": "upsampler.branches.x{scale}.{k}",
    "upsample.up{s}.body.{k}": "upsampler.branches.x{s}.{k}",
    "exit": "tail",
}


def _read(view: StateDictView, *, mobile: bool) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("entry.weight", size=3)
    _, group_width, _ = view.kernel("b1.b1.body.0.weight", size=3)
    if ("b1.b1.body.4.weight" in view) != mobile:
        raise LayoutMismatch("b1.b1.body.4.weight distinguishes CARN-M from CARN")
    facts = {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("c{}.body.0.weight", start=1),
        **view.mean_shift("sub_mean.shifter"),
        **({"groups": width // group_width} if mobile else {}),
    }
    if scales := view.indices("upsample.up{}.body.0.weight"):
        return {**facts, "scales": scales}
    scale = view.shuffle_factors("upsample.up.body.{}.weight", width)
    return {**facts, "scale": scale, "scales": [scale]}


def _carn(view: StateDictView) -> dict[str, Any]:
    return _read(view, mobile=False)


def _carn_m(view: StateDictView) -> dict[str, Any]:
    return _read(view, mobile=True)


LAYOUTS = (
    Layout(
        network="carn",
        source="the authors",
        keys={
            **_KEYS,
            "b{i}.b{j}.body.0": "body.blocks.{i-1}.blocks.{j-1}.conv1",
            "b{i}.b{j}.body.2": "body.blocks.{i-1}.blocks.{j-1}.conv2",
        },
        read=_carn,
        required={"value_range": "1 or 255"},
    ),
    Layout(
        network="carn_m",
        source="the authors",
        keys={
            **_KEYS,
            "b{i}.b1.body.0": "body.blocks.{i-1}.shared.conv1",
            "b{i}.b1.body.2": "body.blocks.{i-1}.shared.conv2",
            "b{i}.b1.body.4": "body.blocks.{i-1}.shared.conv3",
        },
        read=_carn_m,
        required={"value_range": "1 or 255"},
    ),
)

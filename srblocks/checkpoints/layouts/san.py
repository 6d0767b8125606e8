"""SAN: the authors' code."""

from typing import Any

from ..layout import MEAN_SHIFT, Layout, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("head.0.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "groups": view.count("RG.{}.conv_last.weight"),
        "blocks_per_group": view.count("RG.0.rcab.{}.conv_first.0.weight"),
        "reduction": width // view.kernel("RG.0.soca.conv_du.0.weight")[0],
        "scale": view.shuffle_factors("tail.0.{}.weight", width),
        **view.mean_shift(),
    }


LAYOUTS = (
    Layout(
        network="san",
        source="the authors",
        keys={
            **MEAN_SHIFT,
            "head.0": "head",
            "gamma": "body.gamma",
            "non_local.non_local.theta": "body.non_local.non_local.query.0",
            "non_local.non_local.phi.0": "body.non_local.non_local.key.0",
            "non_local.non_local.g.0": "body.non_local.non_local.value.0",
            "non_local.non_local.W": "body.non_local.non_local.skip",
            "RG.{g}.rcab.{b}.conv_first.0": "body.groups.{g}.body.{b}.conv1",
            "RG.{g}.rcab.{b}.conv_first.2": "body.groups.{g}.body.{b}.conv2",
            "RG.{g}.soca.conv_du.0": "body.groups.{g}.body.{blocks_per_group}.squeeze",
            "RG.{g}.soca.conv_du.2": "body.groups.{g}.body.{blocks_per_group}.excite",
            "RG.{g}.conv_last": "body.groups.{g}.body.{blocks_per_group+1}",
            "tail.0.{k}": "upsampler.{k}",
            "tail.1": "tail",
        },
        read=_read,
        required={"value_range": "255 or 1"},
        unused_keys=("RG.{g}.gamma", "conv_last", "non_local.soca.conv_du.{k}"),
    ),
)

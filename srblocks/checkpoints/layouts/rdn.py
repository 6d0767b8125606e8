"""RDN: EDSR-PyTorch, and the port by yjn870."""

from typing import Any

from ..layout import Layout, LayoutMismatch, StateDictView


def _edsr_pytorch(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("SFENet1.weight", size=3)
    growth, _, _ = view.kernel("RDBs.0.convs.0.conv.0.weight", size=3)
    last = max(view.indices("UPNet.{}.weight"), default=0)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("RDBs.{}.LFF.weight"),
        "layers": view.count("RDBs.0.convs.{}.conv.0.weight"),
        "growth": growth,
        "scale": view.shuffle_factors("UPNet.{}.weight", growth, last=last),
        "_last": last,
    }


def _yjn870(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("sfe1.weight", size=3)
    growth, _, _ = view.kernel("rdbs.0.layers.0.conv.weight", size=3)
    if growth != width:
        raise LayoutMismatch(f"rdbs.0.layers.0.conv has {growth} output channels instead of {width}")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("rdbs.{}.lff.weight"),
        "layers": view.count("rdbs.0.layers.{}.conv.weight"),
        "growth": growth,
        "scale": view.shuffle_factors("upscale.{}.weight", width),
    }


LAYOUTS = (
    Layout(
        network="rdn",
        source="EDSR-PyTorch",
        keys={
            "SFENet1": "head",
            "SFENet2": "body.0",
            "RDBs.{i}.convs.{j}.conv.0": "body.1.blocks.{i}.dense.layers.{j}.0",
            "RDBs.{i}.LFF": "body.1.blocks.{i}.fuse",
            "GFF.{k}": "body.1.fuse.{k}",
            "UPNet.{_last}": "tail",
            "UPNet.{k}": "upsampler.{k}",
        },
        read=_edsr_pytorch,
        defaults={"value_range": 1.0},
    ),
    Layout(
        network="rdn",
        source="yjn870",
        keys={
            "sfe1": "head",
            "sfe2": "body.0",
            "rdbs.{i}.layers.{j}.conv": "body.1.blocks.{i}.dense.layers.{j}.0",
            "rdbs.{i}.lff": "body.1.blocks.{i}.fuse",
            "gff.{k}": "body.1.fuse.{k}",
            "upscale.{k}": "upsampler.{k}",
            "output": "tail",
        },
        read=_yjn870,
        defaults={"value_range": 1.0},
    ),
)

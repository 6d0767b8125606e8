"""RDN: EDSR-PyTorch, and yjn870's port."""

from typing import Any

from ..dialect import Dialect, Layout, UnfitError


def _edsr_pytorch(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("SFENet1.weight", side=3)
    growth, _, _ = layout.kernel("RDBs.0.convs.0.conv.0.weight", side=3)
    last = max(layout.indices("UPNet.{}.weight"), default=0)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": layout.count("RDBs.{}.LFF.weight"),
        "layers": layout.count("RDBs.0.convs.{}.conv.0.weight"),
        "growth": growth,
        "scale": layout.factors("UPNet.{}.weight", growth, last=last),
        "_last": last,
    }


def _yjn870(layout: Layout) -> dict[str, Any]:
    width, image_channels, _ = layout.kernel("sfe1.weight", side=3)
    growth, _, _ = layout.kernel("rdbs.0.layers.0.conv.weight", side=3)
    if growth != width:
        raise UnfitError(f"rdbs.0.layers.0.conv gives {growth} channels instead of {width}")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": layout.count("rdbs.{}.lff.weight"),
        "layers": layout.count("rdbs.0.layers.{}.conv.weight"),
        "growth": growth,
        "scale": layout.factors("upscale.{}.weight", width),
    }


DIALECTS = (
    Dialect(
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
        implied={"value_range": 1.0},
    ),
    Dialect(
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
        implied={"value_range": 1.0},
    ),
)

"""RDN: EDSR-PyTorch."""

from typing import Any

from ..dialect import Dialect, Layout


def _read(layout: Layout) -> dict[str, Any]:
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
        read=_read,
        implied={"value_range": 1.0},
    ),
)

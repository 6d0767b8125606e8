"""Layouts of densely connected, cascading and attentive networks, see `authors`.

Sources: EDSR-PyTorch (rdn.py), yjn870's RDN- and SRDenseNet-pytorch (models.py), nmhkahn/CARN-pytorch (carn.py,
carn_m.py, ops.py of v2), alterzero/DBPN-Pytorch (dbpn.py, dbpn_v1.py, dbpns.py, dbpn_iterative.py, base_networks.py),
fperazzi/proSR (generators.py, layers.py, options), SHI-Labs/Cross-Scale-Non-Local-Attention (csnln.py, attention.py).
"""

from collections.abc import Sequence
from itertools import chain

from checkpoints.authors import StateDictView, conv, deconv, shifted, shuffles, slope


def rdn(scale: int, blocks: int, layers: int, growth: int, width: int = 64) -> StateDictView:
    yield from conv("SFENet1", width, 3)
    yield from conv("SFENet2", width, width)
    for i in range(blocks):
        for c in range(layers):
            yield from conv(f"RDBs.{i}.convs.{c}.conv.0", growth, width + c * growth)
        yield from conv(f"RDBs.{i}.LFF", width, width + layers * growth, 1)
    yield from conv("GFF.0", width, blocks * width, 1)
    yield from conv("GFF.1", width, width)
    if scale == 4:
        yield from conv("UPNet.0", 4 * growth, width)
        yield from conv("UPNet.2", 4 * growth, growth)
        yield from conv("UPNet.4", 3, growth)
    else:
        yield from conv("UPNet.0", scale**2 * growth, width)
        yield from conv("UPNet.2", 3, growth)


def rdn_yjn870(scale: int, blocks: int, layers: int, width: int) -> StateDictView:
    """The growth equals the width in the blocks and in the upsampler."""
    yield from conv("sfe1", width, 3)
    yield from conv("sfe2", width, width)
    for i in range(blocks):
        for c in range(layers):
            yield from conv(f"rdbs.{i}.layers.{c}.conv", width, width * (c + 1))
        yield from conv(f"rdbs.{i}.lff", width, width * (layers + 1), 1)
    yield from conv("gff.0", width, blocks * width, 1)
    yield from conv("gff.1", width, width)
    yield from shuffles("upscale", scale, width)
    yield from conv("output", 3, width)


def srdensenet_yjn870(growth: int, blocks: int, layers: int) -> StateDictView:
    """The class always upscales by 2 twice."""
    step = growth * layers
    yield from conv("conv.conv", step, 1)
    for b in range(blocks):
        yield from conv(f"dense_blocks.{b}.block.0.conv", growth, step * (b + 1))
        for i in range(1, layers):
            yield from conv(f"dense_blocks.{b}.block.{i}.conv", growth, growth * i)
    yield from conv("bottleneck.0", 256, step * (blocks + 1), 1)
    yield from deconv("deconv.0", 256, 256, 3)
    yield from deconv("deconv.2", 256, 256, 3)
    yield from conv("reconstruction", 1, 256)


def carn(scales: Sequence[int], *, multi: bool, mobile: bool = False, groups: int = 1) -> StateDictView:
    """CARN, or CARN-M, which applies one residual block three times in each cascade."""

    def cascade(name: str) -> StateDictView:
        for j in (1, 2, 3):
            block = f"{name}.b1.body" if mobile else f"{name}.b{j}.body"
            yield from conv(f"{block}.0", 64, 64 // groups)
            yield from conv(f"{block}.2", 64, 64 // groups)
            if mobile:
                yield from conv(f"{block}.4", 64, 64, 1)
            yield from conv(f"{name}.c{j}.body.0", 64, 64 * (j + 1), 1)

    def inner() -> StateDictView:
        yield from conv("entry", 64, 3)
        for i in (1, 2, 3):
            yield from cascade(f"b{i}")
            yield from conv(f"c{i}.body.0", 64, 64 * (i + 1), 1)
        for scale in scales:
            branch = f"upsample.up{scale}" if multi else "upsample.up"
            yield from shuffles(f"{branch}.body", scale, 64, step=3, groups=groups)
        yield from conv("exit", 3, 64)

    return shifted(inner(), shift="{}_mean.shifter")


def _conv_block(name: str, outputs: int, inputs: int, side: int) -> StateDictView:
    return chain(conv(f"{name}.conv", outputs, inputs, side), slope(f"{name}.act"))


def _deconv_block(name: str, channels: int, side: int) -> StateDictView:
    return chain(deconv(f"{name}.deconv", channels, channels, side), slope(f"{name}.act"))


def _projection(name: str, direction: str, width: int, side: int, seen: int) -> StateDictView:
    """Projection unit: up, down and up, or down, up and down; from the second on it takes all earlier outputs."""
    if seen:
        yield from _conv_block(f"{name}.conv", width, width * seen, 1)
    for i in (1, 2, 3):
        step = f"{name}.{direction}_conv{i}"
        up = (direction == "up") == (i != 2)
        yield from _deconv_block(step, width, side) if up else _conv_block(step, width, width, side)


def dbpn(scale: int, stages: int, width: int, head_width: int, *, recursions: int | None = None) -> StateDictView:
    side = {2: 6, 4: 8, 8: 12}[scale]
    yield from _conv_block("feat0", head_width, 3, 3)
    yield from _conv_block("feat1", width, head_width, 1)
    yield from _projection("up1", "up", width, side, 0)
    for i in range(1, stages):
        seen = i if i > 1 else 0
        yield from _projection(f"down{i}", "down", width, side, seen)
        yield from _projection(f"up{i + 1}", "up", width, side, seen)
    yield from conv("output_conv.conv", 3, (recursions or stages) * width)


def prosr(blocks: Sequence[int], *, width: int, growth: int, layers: int, residual: bool) -> StateDictView:
    """One entry of `blocks` per pyramid; scale 2**n runs the first n of them."""
    for scale in range(1, len(blocks) + 1):
        yield from conv(f"init_conv_{scale}.conv.1", width, 3)
        channels = width
        for p in range(1, scale + 1):
            name = f"pyramid_residual_{p}"
            if p > 1:
                kept = width if residual else channels // 2
                yield from conv(f"{name}.compression_{p - 1}.conv1", kept, channels, 1, bias=False)
                channels = kept
            for b in range(1, blocks[p - 1] + 1):
                block = f"{name}.residual_denseblock_{b}" if residual else f"{name}.denseblock_{b}"
                dense = f"{block}.dense_block" if residual else f"{block}.dense"
                grown = channels + layers * growth
                for i in range(layers):
                    yield from conv(f"{dense}.denselayer{i + 1}.conv_1", 4 * growth, channels + i * growth, 1)
                    yield from conv(f"{dense}.denselayer{i + 1}.conv_2.conv.1", growth, 4 * growth)
                compressed = b < blocks[p - 1] or residual
                kept = channels if residual else int(0.4 * grown) if compressed else grown
                if compressed:
                    yield from conv(f"{block}.comp.conv1", kept, grown, 1, bias=False)
                channels = kept
            yield from conv(f"{name}.final_conv.final_conv.conv.1", channels, channels)
            yield from conv(f"{name}_residual_upsampler.m.0.conv.1", 4 * channels, channels)
        yield from conv(f"reconst_{scale}.final_conv.conv.1", 3, channels)


def _multi_source(name: str, side: int) -> StateDictView:
    """In-scale attention, its upsampling, cross-scale attention, and a residual block on the difference."""

    def embedding(part: str, channels: int) -> StateDictView:
        return chain(conv(f"{part}.0", channels, 128, 1), slope(f"{part}.1"))

    yield from embedding(f"{name}.down_attention.conv_match1", 64)
    yield from embedding(f"{name}.down_attention.conv_match2", 64)
    yield from embedding(f"{name}.down_attention.conv_assembly", 128)
    yield from deconv(f"{name}.upsample.0", 128, 128, side)
    yield from slope(f"{name}.upsample.1")
    yield from embedding(f"{name}.up_attention.conv_match_1", 64)
    yield from embedding(f"{name}.up_attention.conv_match_2", 64)
    yield from embedding(f"{name}.up_attention.conv_assembly", 128)
    yield from conv(f"{name}.encoder.body.0", 128, 128)
    yield from slope(f"{name}.encoder.body.1")
    yield from conv(f"{name}.encoder.body.2", 128, 128)


def csnln(scale: int, depth: int) -> StateDictView:
    """The attention always has 128 channels."""
    side = 9 if scale == 3 else 6

    def down(name: str, kernel: int) -> StateDictView:
        return chain(conv(f"SEM.{name}.0", 128, 128, kernel), slope(f"SEM.{name}.1"))

    def up(name: str, kernel: int) -> StateDictView:
        return chain(deconv(f"SEM.{name}.0", 128, 128, kernel), slope(f"SEM.{name}.1"))

    def inner() -> StateDictView:
        for i, inputs in enumerate((3, 128)):
            yield from conv(f"head.{i}.0", 128, inputs)
            yield from slope(f"head.{i}.1")
        yield from _multi_source("SEM.multi_source_projection", side)
        yield from down("down_sample_1", side)
        yield from up("error_encode", side)
        if scale == 4:
            yield from _multi_source("SEM.multi_source_projection_2", side)
            yield from down("down_sample_3", 8)
            yield from up("error_encode_2", 8)
            yield from down("down_sample_4", 8)
        else:
            yield from down("down_sample_2", side)
        yield from conv("SEM.post_conv.0", 128, 128)
        yield from slope("SEM.post_conv.1")
        yield from conv("tail.0", 3, depth * 128)

    return shifted(inner())


def csnln_unused(scale: int) -> StateDictView:
    """A constant that CSNLN keeps as a buffer."""
    yield "SEM.multi_source_projection.up_attention.escape_NaN", (1,)
    if scale == 4:
        yield "SEM.multi_source_projection_2.up_attention.escape_NaN", (1,)

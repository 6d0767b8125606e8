"""Third-party layouts at scales and in variants that `tests/data/layouts.json` lacks, with the expected networks."""

from collections.abc import Callable, Iterator
from itertools import chain

from checkpoints import authors_dense as dense
from checkpoints import authors_plain as plain
from checkpoints import authors_ports as ports
from checkpoints import authors_residual as residual
from checkpoints import variants_modern
from checkpoints.authors import DIVFLICKR2K
from checkpoints.variant import FULL, MEAN, SHIFTED, UNIT, Variant, variant


def _edsr() -> Iterator[Variant]:
    for scale in (3, 4, 8):
        config = {"scale": scale, "width": 64, "depth": 2, "res_scale": 1.0, **FULL}
        yield variant(f"EDSR baseline x{scale}", "edsr_baseline", residual.edsr(scale, 64, 2), config)
    for scale in (3, 4):
        config = {"scale": scale, "width": 256, "depth": 1, "res_scale": 0.1, **FULL}
        yield variant(f"EDSR x{scale}", "edsr", residual.edsr(scale, 256, 1), config)
    yield variant("EDSR in [0, 1]", "edsr_baseline", residual.edsr(3, 64, 2), {"scale": 3, **SHIFTED}, white=1.0)
    for scale, width, network in ((3, 64, "edsr_baseline"), (8, 64, "edsr_baseline"), (4, 256, "edsr")):
        config = {"scale": scale, "width": width, "depth": 2, "res_scale": 0.1 if width == 256 else 1.0, **FULL}
        layout = residual.edsr_basicsr(scale, width, 2)
        yield variant(f"BasicSR's EDSR of {width} x{scale}", network, layout, config, constant=MEAN)
    for scales in ((2, 4), (2, 3, 4, 8), (4, 2), (3, 8), (4,)):
        config = {"scale": min(scales), "scales": list(scales), "width": 8, "depth": 16, **FULL}
        yield variant(f"MDSR {scales}", "mdsr_baseline", residual.mdsr(scales, 8, 16), config, scales=scales)


def _attentive() -> Iterator[Variant]:
    size = {"width": 16, "groups": 3, "blocks_per_group": 2, "reduction": 4, **FULL}
    for scale in (3, 4, 8):
        yield variant(f"RCAN x{scale}", "rcan", residual.rcan(scale, 16, 3, 2, 4), {"scale": scale, **size})
    layout = residual.rcan(2, 16, 3, 2, 4)
    yield variant("RCAN of DIVFlickr2K", "rcan", layout, {"scale": 2, **size}, mean=DIVFLICKR2K)
    for scale in (3, 4):
        layout = residual.rcan_basicsr(scale, 16, 3, 2, 4)
        yield variant(f"BasicSR's RCAN x{scale}", "rcan", layout, {"scale": scale, **size}, constant=MEAN)
    for scale in (3, 4, 8):
        config = {"scale": scale, "width": 64, "groups": 2, "blocks_per_group": 3, "reduction": 16, **FULL}
        yield variant(f"SAN x{scale}", "san", residual.san(scale, 2, 3), config, unused=residual.san_unused(2))
    for scale, size, width, depth in ((4, "l", 4, 40), (8, "s", 8, 30), (8, "l", 4, 36)):
        config = {"scale": scale, "width": width, "depth": depth, "variant": size, **FULL}
        yield variant(f"DRN-{size.upper()} x{scale}", f"drn_{size}", residual.drn(scale, width, depth), config)
    for scale in (3, 4):
        config = {"scale": scale, "width": 128, "depth": 3, **SHIFTED}
        unused = dense.csnln_unused(scale)
        yield variant(f"CSNLN x{scale}", "csnln", dense.csnln(scale, 3), config, unused=unused, white=1.0)


def _srresnet() -> Iterator[Variant]:
    for scale in (3, 4):
        config = {"scale": scale, "width": 8, "depth": 3, **UNIT}
        yield variant(f"MSRResNet x{scale}", "msrresnet", residual.msrresnet(scale, 8, 3), config)
    config = {"scale": 8, "width": 8, "depth": 3, "body_end": "norm", "output": "linear", **UNIT}
    yield variant("Lornatang's SRResNet x8", "srresnet", residual.srresnet_lornatang(8, 8, 3), config)
    for end in ("act", "norm"):
        for scale in (2, 4, 8):
            config = {"scale": scale, "depth": 5, "body_end": end, "bias": True, "output": "tanh01", **UNIT}
            layout = residual.srgan_leftthomas(scale, body_end=end)
            yield variant(f"leftthomas's SRGAN with {end} after the blocks x{scale}", "srresnet", layout, config)


def _dense() -> Iterator[Variant]:
    for scale in (3, 4):
        config = {"scale": scale, "width": 64, "depth": 2, "layers": 8, "growth": 64}
        yield variant(f"RDN x{scale}", "rdn", dense.rdn(scale, 2, 8, 64), config)
        config = {"scale": scale, "width": 64, "depth": 20, "layers": 6, "growth": 32}
        yield variant(f"RDN of configuration A x{scale}", "rdn_a", dense.rdn(scale, 20, 6, 32), config)
    for scale in (2, 3, 4):
        config = {"scale": scale, "width": 64, "depth": 2, "layers": 8, "growth": 64, **UNIT}
        yield variant(f"yjn870's RDN x{scale}", "rdn", dense.rdn_yjn870(scale, 2, 8, 64), config)
    config = {"scale": 4, "width": 8, "growth": 4, "blocks": 3, "depth": 2, "skips": "all", **UNIT}
    yield variant("SRDenseNet of 3 blocks", "srdensenet", dense.srdensenet_yjn870(4, 3, 2), config)


def _carn() -> Iterator[Variant]:
    for mobile in (False, True):
        name, groups = ("carn_m", 4) if mobile else ("carn", 1)
        for scale in (2, 3, 4):
            config = {"scale": scale, "scales": [scale], "mobile": mobile, "groups": 4, **SHIFTED}
            layout = dense.carn((scale,), multi=False, mobile=mobile, groups=groups)
            yield variant(f"{name} x{scale}", name, layout, config, white=1.0)
    for groups in (1, 8):
        config = {"scale": 2, "scales": [2, 3, 4], "groups": groups, **SHIFTED}
        layout = dense.carn((2, 3, 4), multi=True, mobile=True, groups=groups)
        yield variant(f"carn_m in {groups} groups", "carn_m", layout, config, scales=(2, 3, 4), white=1.0)


def _dbpn() -> Iterator[Variant]:
    common = {"mean_shift": False, "newest_first": True, "shared_slope": True, **UNIT}
    single = {"recursions": None, "image_skip": False, **common}
    for name, scale, stages in (("dbpn", 8, 7), ("dbpn_ll", 2, 10), ("dbpn_ll", 4, 10), ("dbpn_ll", 8, 10)):
        config = {"scale": scale, "stages": stages, "width": 4, "head_width": 8, **single}
        yield variant(f"{name} x{scale}", name, dense.dbpn(scale, stages, 4, 8), config)
    for scale in (2, 8):
        config = {"scale": scale, "stages": 2, "width": 32, "head_width": 128, **single}
        yield variant(f"dbpn_s x{scale}", "dbpn_s", dense.dbpn(scale, 2, 32, 128), config)
    config = {"scale": 8, "stages": 7, "recursions": 3, "image_skip": True, **common}
    yield variant("dbpn_res_mr64_3 x8", "dbpn_res_mr64_3", dense.dbpn(8, 7, 4, 8, recursions=3), config)


def _prosr() -> Iterator[Variant]:
    common = {"scale": 2, "value_range": 1 / 0.0039215, "mean_shift": True, "image_skip": True}
    small = {"width": 24, "growth": 12, "depth": 6, "residual": False, **common}
    for scales, blocks in (((2,), [4]), ((2, 4), [4, 2]), ((2, 4, 8), [4, 2, 1])):
        config = {"scales": list(scales), "blocks": blocks, **small}
        layout = dense.prosr(blocks, width=24, growth=12, layers=6, residual=False)
        yield variant(f"ProSR_s up to x{scales[-1]}", "prosr_s", layout, config, scales=scales, constant=MEAN)
    config = {"scales": [2, 4], "blocks": [3, 2], "width": 16, "growth": 4, "depth": 2, "residual": True, **common}
    layout = dense.prosr([3, 2], width=16, growth=4, layers=2, residual=True)
    yield variant("ProSR_l up to x4", "prosr_l", layout, config, scales=(2, 4), constant=MEAN)


def _three_layers() -> Iterator[Variant]:
    for kernel in (1, 3, 5):
        name = "srcnn_915" if kernel == 1 else "srcnn"
        config = {"scale": 1, "mapping_kernel": kernel, **UNIT}
        for channels in (1, 3):
            layout = plain.srcnn_yjn870(channels, kernel)
            title = f"SRCNN 9-{kernel}-5 with {channels} channels"
            yield variant(title, name, layout, {"image_channels": channels, **config})
        config = {"image_channels": 3, "color": "ycbcr", **config}
        yield variant(f"Nhat-Thanh's SRCNN 9-{kernel}-5", name, plain.srcnn_nhat_thanh(kernel), config)
    for scale in (2, 3, 4):
        tanh, relu = {"scale": scale, "act": "tanh", **UNIT}, {"scale": scale, "act": "relu", "depth": 3, **UNIT}
        for channels in (1, 3):
            title, layout = f"ESPCN with {channels} channels x{scale}", plain.espcn_yjn870(scale, channels)
            yield variant(title, "espcn", layout, {"image_channels": channels, **tanh})
        config = {"image_channels": 3, "color": "ycbcr", **tanh}
        yield variant(f"Nhat-Thanh's ESPCN x{scale}", "espcn", plain.espcn_nhat_thanh(scale), config)
        yield variant(f"the tutorial's ESPCN x{scale}", "espcn", plain.espcn_tutorial(scale), relu)
    for name, size in (("fsrcnn", (56, 12, 4)), ("fsrcnn_s", (32, 5, 1))):
        for scale in (2, 3, 4):
            config = {"scale": scale, "width": size[0], "shrunk_width": size[1], "depth": size[2], **UNIT}
            yield variant(f"{name} x{scale}", name, plain.fsrcnn_yjn870(*size), config, given={"scale": scale})


def _pre_upsampling() -> Iterator[Variant]:
    for depth, width in ((20, 64), (10, 8)):
        config = {"scale": 1, "depth": depth, "width": width, "bias": True, **UNIT}
        yield variant(f"the authors' VDSR of {depth}", "vdsr", plain.vdsr_official(depth, width), config)
    config = {"scale": 1, "depth": 20, "width": 64, "bias": False, **UNIT}
    yield variant("twtygqyy's VDSR", "vdsr", plain.vdsr_twtygqyy(), config)
    for bias in (False, True):
        config = {"scale": 1, "depth": 20, "bias": bias, "image_channels": 3, **FULL}
        layout = plain.vdsr_edsr_pytorch(20, 64, bias=bias)
        yield variant(f"EDSR-PyTorch's VDSR {'with' if bias else 'without'} biases", "vdsr", layout, config)
    for white in (1.0, 255.0):
        config = {"scale": 1, "depth": 6, "bias": True, "image_channels": 3, "mean_shift": True, "value_range": white}
        yield variant(f"torchSR's VDSR in [0, {white:g}]", "vdsr", plain.vdsr_torchsr(6, 8), config, white=white)
    common = {"scale": 1, "reconstruction_act": True, "normalized_average": True, "skip": "concat"}
    for width, recursions in ((96, 9), (256, 16), (64, 5)):
        config = {"width": width, "recursions": recursions, "value_range": 255.0, **common}
        yield variant(f"DRCN of {width}", "drcn", plain.drcn_jiny2001(width, recursions), config)


def _pyramids() -> Iterator[Variant]:
    for scale, levels, depth, scales in ((2, 1, 10, (2,)), (4, 2, 10, (2, 3, 4)), (8, 3, 5, (2, 3, 4, 8))):
        config = {"scale": scale, "width": 8, "depth": depth, "upconv_kernel": 3, "bias": True, **UNIT}
        layout = plain.lapsrn_official(levels, depth, 8)
        yield variant(f"the authors' LapSRN x{scale}", "lapsrn", layout, config, scales=scales)
    config = {"scale": 4, "width": 64, "depth": 10, "upconv_kernel": 4, "bias": False, **UNIT}
    yield variant("twtygqyy's LapSRN x4", "lapsrn", plain.lapsrn_twtygqyy(), config, scales=(2, 3, 4))
    for recursions in (2, 5, 8):
        config = {"scale": 2, "width": 64, "depth": 5, "recursions": recursions, **UNIT}
        layout, given = plain.ms_lapsrn_official(5, 64), {"recursions": recursions}
        title = f"MS-LapSRN of {recursions} recursions"
        yield variant(title, "ms_lapsrn", layout, config, scales=(2, 3, 4, 8), given=given)


def _ports() -> Iterator[Variant]:
    for scale in (2, 4, 8):
        config = {"scale": scale, "stages": 6, "width": 4, "head_width": 8, "newest_first": False, **FULL}
        yield variant(f"EDSR-PyTorch's DDBPN x{scale}", "dbpn", ports.ddbpn_edsr_pytorch(scale, 6, 4, 8), config)
    for scale in (2, 3):
        config = {"scale": scale, "width": 16, "groups": 3, "mean_shift": False, **UNIT}
        yield variant(f"yjn870's RCAN x{scale}", "rcan", ports.rcan_yjn870(scale, 16, 3, 2, 4), config)
    for kind in ("instance", "batch"):
        config = {"scale": 4, "depth": 3, "norm": kind, "act": "leaky_relu", "bias": False, **UNIT}
        layout = ports.srresnet_twtygqyy(3, instance=kind == "instance")
        yield variant(f"twtygqyy's SRResNet with {kind} normalization", "srresnet", layout, config)
    for depth in (10, 20, 30):
        config = {"scale": 1, "depth": depth, "skips": depth > 10, "strides": "ends", **UNIT}
        yield variant(f"yjn870's REDNet{depth}", f"rednet{depth}", ports.rednet_yjn870(depth // 2, 6), config)
    config = {"scale": 1, "recursions": 25, "norm": False, "bias": False, **UNIT}
    yield variant("jt827859032's DRRN", "drrn_b1u25", ports.drrn_jt827859032(), config)


Group = Callable[[], Iterator[Variant]]
GROUPS: tuple[Group, ...] = (
    _edsr,
    _attentive,
    _srresnet,
    _dense,
    _carn,
    _dbpn,
    _prosr,
    _three_layers,
    _pre_upsampling,
    _pyramids,
    _ports,
    *variants_modern.GROUPS,
)


def variants() -> Iterator[Variant]:
    """Return the variants of all groups."""
    return chain.from_iterable(group() for group in GROUPS)

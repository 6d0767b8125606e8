"""Parameter counts compared with published ones.

Counts with default arguments are read from the snapshots, which tests/networks/test_snapshots.py compares with the
networks; other networks are built on the meta device.
"""

import pytest
import torch

from helpers.snapshots import count_parameters, on_meta, recorded
from helpers.support import facts
from srblocks.networks import SRGANDiscriminator, network_spec

COUNTS = {family: rows for family, rows in facts("params.json").items() if not family.startswith("_")}
ALL_ROWS = [(family, row) for family, rows in COUNTS.items() for row in rows]
# Images of the Keras collection: RGB, upscaled bilinearly before the network.
KERAS = {"image_channels": 3, "interpolation": "bilinear"}

# One entry per row of params.json: (network, row) -> (name, constructor arguments); the scale comes from the row.
ROWS = {
    ("SRCNN", "9-5-5 c=1"): ("srcnn", {}),
    ("SRCNN", "9-5-5 c=3"): ("srcnn", {"image_channels": 3}),
    ("SRCNN", "9-1-5 c=1"): ("srcnn_915", {}),
    ("SRCNN", "9-1-5 c=3"): ("srcnn_915", {"image_channels": 3}),
    ("FSRCNN", "56-12-4 c=1"): ("fsrcnn", {}),
    ("FSRCNN", "56-12-4 c=3"): ("fsrcnn", {"image_channels": 3}),
    ("FSRCNN", "FSRCNN-s 32-5-1 c=1"): ("fsrcnn_s", {}),
    ("ESPCN", "5-3-3 64-32 c=1"): ("espcn", {}),
    ("ESPCN", "5-3-3 64-32 c=3"): ("espcn", {"image_channels": 3}),
    ("VDSR", "EDSR-PyTorch bias n_colors=1"): ("vdsr", {}),
    ("VDSR", "EDSR-PyTorch bias n_colors=3"): ("vdsr", {"image_channels": 3}),
    ("VDSR", "twtygqyy (no bias)"): ("vdsr", {"bias": False}),
    ("DRCN", "f=256 R=16, Y, recon 256->1, 16 averaging w"): ("drcn", {}),
    ("DRCN", "f=256 R=16, jiny2001 layout (concat x before last conv)"): ("drcn", {"skip": "concat"}),
    ("DRCN", "jiny2001 default f=96 depth 9"): ("drcn", {"skip": "concat", "width": 96, "recursions": 9}),
    **{
        ("RED-Net", f"RED{depth} f={width} c={channels}"): (
            f"rednet{depth}",
            {"width": width, "image_channels": channels},
        )
        for depth in (10, 20, 30)
        for width in (64, 128)
        for channels in (1, 3)
    },
    **{
        ("RED-Net", f"REDNet{depth} yjn870 RGB 64ch (stride-2 first/last)"): (
            f"rednet{depth}",
            {"width": 64, "image_channels": 3, "strides": "ends", "act_before_skip": True, "out_act": True},
        )
        for depth in (10, 20, 30)
    },
    **{
        ("DRRN", f"B1U{units} {row}"): (f"drrn_b1u{units}", config)
        for units in (9, 25)
        for row, config in (
            ("official (conv bias + unshared BN affine)", {}),
            ("conv weights+biases only", {"norm": False}),
            ("no BN no bias (jt827859032)", {"norm": False, "bias": False}),
        )
    },
    ("LapSRN", "twtygqyy (no bias, k4 deconv)"): ("lapsrn", {"upconv_kernel": 4, "bias": False}),
    ("LapSRN", "official MatConvNet (depth10, 3x3 deconv, biases)"): ("lapsrn", {"depth": 10}),
    ("LapSRN", "official released x8 checkpoint (depth 5)"): ("lapsrn", {}),
    **{
        ("MS-LapSRN", f"D{depth}Rx (R-independent)"): ("ms_lapsrn", {"depth": depth, "recursions": depth})
        for depth in (2, 4, 5, 10)
    },
    ("SRDenseNet", "All yjn870 (g16 b8 l8, lowlevel 128)"): ("srdensenet", {}),
    ("SRDenseNet", "All twtygqyy (lowlevel 128, deconv 2x2, no bias on bottleneck/deconv/recon)"): (
        "srdensenet",
        {"deconv_kernel": 2, "bias": False},
    ),
    ("SRDenseNet", "All wxywhu (DenseNet-style, lowlevel 16, bottleneck 128, deconv 4x4)"): (
        "srdensenet",
        {"width": 16, "dense_input": True, "upsampler_width": 128, "deconv_kernel": 4},
    ),
    ("SRDenseNet", "All, DenseNet-style, lowlevel 16, bottleneck 256, deconv 3x3 256"): (
        "srdensenet",
        {"width": 16, "dense_input": True},
    ),
    ("SRDenseNet", "HL, yjn870-style blocks, lowlevel 128, deconv 3x3"): ("srdensenet_hl", {}),
    ("SRDenseNet", "H, yjn870-style blocks, lowlevel 128, deconv 3x3"): ("srdensenet_h", {}),
    ("SRResNet", "paper (BN, PReLU shared, k9) Lornatang"): ("srresnet", {}),
    ("SRResNet", "paper layout with conv biases everywhere (sgrvinod)"): ("srresnet", {"bias": True}),
    ("SRResNet", "twtygqyy (no bias, IN)"): ("srresnet", {"bias": False, "norm": "instance", "act": "leaky_relu"}),
    ("SRResNet", "MSRResNet (BasicSR)"): ("msrresnet", {}),
    ("MemNet", "M6R6 official train (shared conv per block, BN affine unshared)"): ("memnet", {}),
    ("MemNet", "M6R6 convs w/o bias, no BN (paper-style)"): ("memnet", {"norm": False, "bias": False}),
    ("MemNet", "M10R10 official train (shared conv per block, BN affine unshared)"): (
        "memnet",
        {"memories": 10, "recursions": 10},
    ),
    ("MemNet", "M10R10 convs w/o bias, no BN (paper-style)"): (
        "memnet",
        {"memories": 10, "recursions": 10, "norm": False, "bias": False},
    ),
    ("EDSR", "baseline"): ("edsr_baseline", {}),
    ("EDSR", "full"): ("edsr", {}),
    ("EDSR", "BasicSR M"): ("edsr_baseline", {}),
    ("EDSR", "BasicSR L"): ("edsr", {}),
    ("MDSR", "baseline"): ("mdsr_baseline", {}),
    ("MDSR", "full"): ("mdsr", {}),
    ("RDN", "D16C8G64"): ("rdn", {}),
    ("RDN", "D20C6G32"): ("rdn_a", {}),
    ("RCAN", "G10R20"): ("rcan", {}),
    ("RCAN", "BasicSR G10B20"): ("rcan", {}),
    ("DRN", "DRN-S"): ("drn_s", {}),
    ("DRN", "DRN-L"): ("drn_l", {}),
    ("DBPN", "DBPN (T=7, feat256, base64) = D-DBPN"): ("dbpn", {}),
    ("DBPN", "DBPNLL (T=10)"): ("dbpn_ll", {}),
    ("DBPN", "DBPN-RES-MR64-3"): ("dbpn_res_mr64_3", {}),
    ("DBPN", "DBPNS class, nR=32,n0=128 (paper DBPN-S)"): ("dbpn_s", {}),
    ("DBPN", "DBPNS class, nR=18,n0=64 (paper DBPN-SS)"): ("dbpn_ss", {}),
    ("DBPN", "EDSR-PyTorch ddbpn (n0=128,nr=32,depth6)"): (
        "dbpn",
        {"width": 32, "head_width": 128, "stages": 6, "newest_first": False, "shared_slope": False},
    ),
    ("CARN", "CARN"): ("carn", {}),
    ("CARN", "CARN-M g=1"): ("carn_m", {"groups": 1}),
    ("CARN", "CARN-M g=4"): ("carn_m", {}),
    ("DSRN", "u128 T7 public model file (x2)"): ("dsrn", {}),
    ("ProSR", "ProSR_l"): ("prosr_l", {}),
    ("ProSR", "ProSR_s"): ("prosr_s", {}),
    ("SAN", "G20R10"): ("san", {}),
    ("CSNLN", "T12"): ("csnln", {}),
    ("Keras K", "SRCNN"): ("srcnn_915", KERAS),
    ("Keras K", "FSRCNN shared_axes"): ("fsrcnn", {"image_channels": 3, "upsampling": "bilinear"}),
    ("Keras K", "ESPCN x2"): ("espcn", {"image_channels": 3}),
    ("Keras K", "ESPCN x3"): ("espcn", {"image_channels": 3}),
    ("Keras K", "ESPCN x4"): ("espcn", {"image_channels": 3}),
    ("Keras K", "VDSR d20"): ("vdsr", KERAS),
    ("Keras K", "VDSR d10"): ("vdsr", {**KERAS, "depth": 10}),
    ("Keras K", "RED d=6"): ("rednet30", {**KERAS, "width": 64, "depth": 26, "strides": "pairs"}),
    ("Keras K", "RED d=3"): ("rednet30", {**KERAS, "width": 64, "depth": 14, "strides": "pairs"}),
    ("Keras K", "DRRN b1u25"): ("drrn_b1u25", {**KERAS, "norm": False, "pre_activation": False}),
    ("Keras K", "DRRN b1u10"): ("drrn_b1u9", {**KERAS, "norm": False, "pre_activation": False, "recursions": 10}),
    ("Keras K", "RDN d16c8"): ("rdn", {"upsampling": "bilinear", "fusion_width": 16 * 64}),
    ("Keras K", "RDN d3c3"): ("rdn", {"upsampling": "bilinear", "fusion_width": 3 * 64, "depth": 3, "layers": 3}),
    ("Keras K", "RCAN g10b20 x2"): ("rcan", {"upsampling": "direct", "mean_shift": False}),
    ("Keras K", "RCAN g3b3 x2"): (
        "rcan",
        {"upsampling": "direct", "mean_shift": False, "groups": 3, "blocks_per_group": 3},
    ),
    ("RRDBNet", "64/23/32"): ("rrdbnet", {}),
    ("RRDBNet", "64/6/32 (anime 6B)"): ("rrdbnet_6b", {}),
    ("RRDBNet", "32/12/32 (lite)"): ("rrdbnet_lite", {}),
    ("RRDBNet", "64/23/32 without unshuffle"): ("rrdbnet", {"unshuffle": False}),
    ("ESRGAN+", "64/23/32"): ("esrgan_plus", {}),
    ("SRVGGNetCompact", "64/16 prelu"): ("compact", {}),
    ("SRVGGNetCompact", "64/32 prelu"): ("compact", {"depth": 32}),
    ("SRVGGNetCompact", "64/8 prelu"): ("compact", {"depth": 8}),
    ("SRVGGNetCompact", "24/8 prelu"): ("compact", {"width": 24, "depth": 8}),
    ("SRVGGNetCompact", "64/16 relu or leakyrelu"): ("compact", {"act": "leaky_relu"}),
    ("SPAN", "ch28 deploy"): ("span_ntire", {}),
    ("SPAN", "ch28 train"): ("span", {"width": 28, "deploy": False}),
    ("SPAN", "ch48 deploy"): ("span", {}),
    ("SPAN", "ch48 train"): ("span", {"deploy": False}),
    ("SPAN", "ch52 deploy"): ("span", {"width": 52}),
    ("SPAN", "ch52 train"): ("span", {"width": 52, "deploy": False}),
    ("SPAN", "ch26 deploy"): ("span", {"width": 26}),
    ("SPAN", "ch28 deploy, fusion to 20"): ("span", {"width": 28, "fusion_width": 20}),
    ("SPANV2", "ch32"): ("spanv2", {}),
    ("PDS", "32/20"): ("pds", {}),
    ("SPANF", "32"): ("spanf", {}),
    ("SPANF3", "ch48 b6 deploy"): ("spanf3", {}),
    ("SPANF3", "ch48 b6 train"): ("spanf3", {"deploy": False}),
    ("SPANF3", "ch64 b8 deploy"): ("spanf3", {"width": 64, "depth": 8}),
    ("SPANF3", "ch64 b8 train"): ("spanf3", {"width": 64, "depth": 8, "deploy": False}),
    ("IMDN", "64/6"): ("imdn", {}),
    ("IMDN", "NTIRE 64/8"): ("imdn_ntire", {}),
    ("RFDN", "nf50"): ("rfdn", {}),
    ("RLFN", "52/6"): ("rlfn", {}),
    ("RLFN", "S 48/6"): ("rlfn_s", {}),
    ("RLFN", "NTIRE 46/48/4"): ("rlfn_ntire", {}),
    ("EFDN", "48 deploy"): ("efdn", {}),
    ("EFDN", "48 train, seven branches"): ("efdn", {"deploy": False}),
    ("EFDN", "48 train, five branches"): ("efdn", {"deploy": False, "expand": False}),
    ("FMEN", "50/16/4 deploy"): ("fmen", {}),
    ("FMEN", "50/16/4 train"): ("fmen", {"deploy": False}),
    ("BSRN", "64/8"): ("bsrn", {}),
    ("BSRN", "S 48/5"): ("bsrn_s", {}),
    **{
        ("ECBSR", f"m{depth}c{width} Y {form}"): ("ecbsr", {"depth": depth, "width": width, "deploy": form == "deploy"})
        for depth, width in ((4, 8), (4, 16), (6, 16), (10, 32), (16, 64))
        for form in ("deploy", "train")
    },
    ("SAFMN++", "36/6"): ("safmnpp", {}),
    ("SAFMN++", "light 32/2 ffn 1.5"): ("safmnpp_light", {}),
    ("SAFMN", "36/8"): ("safmn", {}),
    ("RealPLKSR", "64/28 GroupNorm"): ("realplksr", {"norm": "group"}),
    ("RealPLKSR", "64/28 LayerNorm"): ("realplksr", {}),
    ("RealPLKSR", "64/28 DySample"): ("realplksr", {"upsampling": "dysample"}),
    ("RealPLKSR", "tiny 64/12 k13, no attention"): ("realplksr_tiny", {}),
    ("RealPLKSR", "large 96/28"): ("realplksr", {"width": 96}),
    ("PAN", "40/24/16"): ("pan", {}),
    ("NinaSR", "b0"): ("ninasr_b0", {}),
    ("NinaSR", "b1"): ("ninasr_b1", {}),
    ("NinaSR", "b2"): ("ninasr_b2", {}),
}

# Rows that are not networks of the registry; those that can be checked have their own tests below.
OTHERS = {
    **{(family, row): "weights without biases" for family, row in ALL_ROWS if row.endswith("weights-only")},
    **{
        (family, row): "shared convolutions stored once per run" for family, row in ALL_ROWS if "deploy prototxt" in row
    },
    **{(family, row): "dual models" for family, row in ALL_ROWS if "dual" in row},
    **{(family, row): "discriminators" for family, row in ALL_ROWS if family == "SRGAN-D"},
    ("DRCN", "f=256 R=16, Y, recon without averaging w"): "without the averaging weights",
    ("Keras K", "FSRCNN 128x128 (PReLU unshared)"): "one slope per pixel: only for images of one size",
}


def parameters(name: str, scale: int | None, arguments: dict) -> int:
    """Return the number of parameters of a network; with default arguments, it is read from the snapshot."""
    if scale in network_spec(name).scales and not arguments:
        return recorded(name, scale, "parameters")
    return count_parameters(on_meta(name, scale=scale, **arguments))


@pytest.mark.parametrize("family", dict.fromkeys(family for family, _ in ROWS))
def test_parameters_match_the_published_counts(family: str) -> None:
    expected, found = {}, {}
    for row, (name, arguments) in ((row, entry) for (rows_of, row), entry in ROWS.items() if rows_of == family):
        counts = COUNTS[family][row]
        unused = counts.get("unused_in_forward", {}).get("params", 0)
        for key, count in counts.items():
            if not isinstance(count, int):
                continue
            extra = {"scales": [2, 4, 8][: int(key).bit_length() - 1]} if family == "ProSR" else {}
            scale = None if key in ("2+3+4", "multi") else int(key.lstrip("x")) if key.lstrip("x").isdigit() else 2
            scale = {"ESPCN x3": 3, "ESPCN x4": 4}.get(row, scale)
            expected[row, key] = count - unused
            found[row, key] = parameters(name, scale, {**arguments, **extra})
    assert found == expected


def test_weights_without_biases_match_the_published_counts() -> None:
    rows = [key for key, kind in OTHERS.items() if kind == "weights without biases"]
    assert rows
    for family, row in rows:
        name, arguments = ROWS[family, row.removesuffix(" weights-only")]
        weights = [value for value in on_meta(name, scale=2, **arguments).parameters() if value.ndim > 1]
        assert sum(value.numel() for value in weights) == COUNTS[family][row]["any"], (family, row)


def test_drcn_without_averaging_weights() -> None:
    net = on_meta("drcn", scale=2)
    used = count_parameters(net) - count_parameters(net.average)
    assert used == COUNTS["DRCN"]["f=256 R=16, Y, recon without averaging w"]["any"]


def test_memnet_with_a_copy_of_the_shared_convolutions_per_run() -> None:
    for memories in (6, 10):
        net = on_meta("memnet", scale=2, memories=memories, recursions=memories)
        shared = sum(count_parameters(block.recursive.convs) for block in net.body)
        stored = count_parameters(net) + (memories - 1) * shared
        published = COUNTS["MemNet"][f"M{memories}R{memories} unshared convs (deploy prototxt storage)"]["any"]
        assert stored == published, memories


def test_drn_dual_models_match_the_published_counts() -> None:
    for variant in ("S", "L"):
        for scale in (4, 8):
            duals = on_meta(f"drn_{variant.lower()}", scale=scale).dual_models()
            published = COUNTS["DRN"][f"DRN-{variant} dual (each)"][str(scale)]
            assert [count_parameters(dual) for dual in duals] == [published] * (scale.bit_length() - 1), (
                variant,
                scale,
            )


def test_discriminators_match_the_published_counts() -> None:
    rows = {
        "paper D (96x96, k3, fc1024) Lornatang": {},
        "twtygqyy 96x96": {"strided_kernel": 4, "head_bias": False},
        "VGGStyleDiscriminator128 (BasicSR)": {
            "image_size": 128,
            "widths": (64, 128, 256, 512, 512),
            "strided_kernel": 4,
            "hidden": 100,
        },
    }
    for row, arguments in rows.items():
        with torch.device("meta"):
            net = SRGANDiscriminator(**arguments)
        assert count_parameters(net) == COUNTS["SRGAN-D"][row]["any"], row


def test_prosr_of_one_scale_has_no_unused_parameters() -> None:
    for name, scale, subset in (("prosr_l", 4, 13418403), ("prosr_l", 8, 15520003), ("prosr_s", 4, 1667699)):
        assert recorded(name, scale, "parameters") == subset


def test_every_published_row_is_covered() -> None:
    assert set(ALL_ROWS) == set(ROWS) | set(OTHERS)
    assert not set(ROWS) & set(OTHERS)

"""Outputs compared with those of the authors' classes with the same weights."""

import pytest
import torch

from helpers.support import facts, filled, summary, wave_image
from srblocks import create_network
from srblocks.init import skip_random_init

NETWORKS = {
    "RCAN G10R20 x2": ("rcan", {"scale": 2}),
    "EDSR baseline x2": ("edsr_baseline", {"scale": 2}),
    "EDSR full x2": ("edsr", {"scale": 2}),
    "MDSR baseline(2+3+4) run at x2": ("mdsr_baseline", {"scale": 2, "scales": [2, 3, 4]}),
    "SAN G20R10 x2": ("san", {"scale": 2}),
    "CSNLN T12 x2": ("csnln", {"scale": 2}),
    "RDN D20C6G32 x2": ("rdn_a", {"scale": 2}),
    "RDN D16C8G64 x2": ("rdn", {"scale": 2}),
    "VDSR 20x64 bias, c=3, MeanShift(range 255) (input already at HR size)": (
        "vdsr",
        {"scale": 1, "image_channels": 3, "mean_shift": True, "value_range": 255.0},
    ),
    "CARN multi_scale run at x2": ("carn", {"scale": 2, "scales": [2, 3, 4]}),
    "CARN-M g4 multi_scale run at x2": ("carn_m", {"scale": 2, "scales": [2, 3, 4]}),
    "DBPN T=7 x2": ("dbpn", {"scale": 2}),
    "DBPN T=7 x4": ("dbpn", {"scale": 4}),
    "DBPN-RES-MR64-3 x4": ("dbpn_res_mr64_3", {"scale": 4, "image_skip": False}),
    "DBPN-SS x4": ("dbpn_ss", {"scale": 4}),
    "DRN-S x4": ("drn_s", {"scale": 4}),
    "ProSR_l (max_scale 8) run at x2": (
        "prosr_l",
        {"scale": 2, "scales": [2, 4, 8], "image_skip": False, "mean_shift": False, "value_range": 1.0},
    ),
    "MSRResNet x2": ("msrresnet", {"scale": 2}),
    "SRResNet paper x2 (no output clamp)": ("srresnet", {"scale": 2}),
    "SRResNet paper x4 (no output clamp)": ("srresnet", {"scale": 4}),
    "FSRCNN 56-12-4 Y x2": ("fsrcnn", {"scale": 2}),
    "ESPCN Y x2": ("espcn", {"scale": 2}),
    "SRCNN 9-5-5 Y (input at HR size)": ("srcnn", {"scale": 1}),
    "SRDenseNet All x4 (yjn870)": ("srdensenet", {"scale": 4}),
    "RRDBNet 64/23/32 x4": ("rrdbnet", {"scale": 4}),
    "ESRGAN+ 64/6/32 x4": ("esrgan_plus", {"scale": 4, "depth": 6}),
    "SRVGGNetCompact 64/16 x4 prelu": ("compact", {"scale": 4}),
    "SRVGGNetCompact 64/16 x4 prelu gain 2.4": ("compact", {"scale": 4}),
    "SPAN ch48 x4 train": ("span", {"scale": 4, "deploy": False}),
    "SPAN ch48 x4 deploy": ("span", {"scale": 4}),
    "SPANV2 ch32 x4": ("spanv2", {"scale": 4}),
    "SPANV2 ch32 x4 gain 2.4": ("spanv2", {"scale": 4}),
    "PDS 32/20 x4": ("pds", {"scale": 4}),
    "SPANF3 ch48 b6 x4 train": ("spanf3", {"scale": 4, "deploy": False}),
    "IMDN 64/6 x4": ("imdn", {"scale": 4}),
    "IMDN NTIRE 64/8 x4": ("imdn_ntire", {"scale": 4}),
    "RFDN nf50 x4": ("rfdn", {"scale": 4}),
    "RLFN 52/6 x4": ("rlfn", {"scale": 4}),
    "EFDN 48 x4 deploy": ("efdn", {"scale": 4}),
    "EFDN 48 x4 train": ("efdn", {"scale": 4, "deploy": False}),
    "FMEN 50/16/4 x4 deploy": ("fmen", {"scale": 4}),
    "FMEN 50/16/4 x4 train": ("fmen", {"scale": 4, "deploy": False}),
    "BSRN 64/8 x4": ("bsrn", {"scale": 4}),
    "BSRN-S 48/5 x4": ("bsrn_s", {"scale": 4}),
    "ECBSR m4c16 x2 Y train": ("ecbsr", {"scale": 2, "deploy": False}),
    "ECBSR m4c16 x2 Y deploy": ("ecbsr", {"scale": 2}),
    "SAFMN++ 36/6 x4": ("safmnpp", {"scale": 4}),
    "SAFMN 36/8 x4": ("safmn", {"scale": 4}),
    "RealPLKSR 64/28 x4 GroupNorm": ("realplksr", {"scale": 4, "norm": "group"}),
    "RealPLKSR 64/28 x4 LayerNorm": ("realplksr", {"scale": 4}),
    "RealPLKSR 64/28 x4 GroupNorm DySample": ("realplksr", {"scale": 4, "norm": "group", "upsampling": "dysample"}),
    "PAN 40/24/16 x4": ("pan", {"scale": 4}),
    "NinaSR b0 x4": ("ninasr_b0", {"scale": 4}),
}


def test_every_recorded_output_is_compared() -> None:
    assert set(NETWORKS) == set(facts("fingerprints.json"))


@pytest.mark.parametrize("row", NETWORKS)
def test_output_matches_the_authors_class(row: str) -> None:
    published = facts("fingerprints.json")[row]
    name, arguments = NETWORKS[row]
    with skip_random_init():
        net = create_network(name, **arguments)
    filled(net.double(), published.get("gain", 1.2))
    with torch.no_grad():
        output = net(wave_image(tuple(published["input"]))) * published["range"]
    errors = {key: abs(value - published[key]) / published["std"] for key, value in summary(output).items()}
    assert list(output.shape) == published["out_shape"]
    assert max(errors.values()) < 1e-6, errors

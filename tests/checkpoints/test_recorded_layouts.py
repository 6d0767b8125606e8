"""Weights in the authors' layouts have the outputs that were recorded with the authors' classes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.support import facts, filled_by_name, summary, wave_image
from srblocks import InterpolateUp, load_checkpoint
from srblocks.networks import network_name

RECORDED = facts("layouts.json")
NETWORKS = {
    "RCAN G10R20 x2": "rcan",
    "EDSR baseline x2": "edsr_baseline",
    "EDSR full x2": "edsr",
    "MDSR baseline(2+3+4) run at x2": "mdsr_baseline",
    "SAN G20R10 x2": "san",
    "CSNLN T12 x2": "csnln",
    "RDN D20C6G32 x2": "rdn_a",
    "RDN D16C8G64 x2": "rdn",
    "VDSR 20x64 bias, c=3, MeanShift(range 255) (input already at HR size)": "vdsr",
    "CARN multi_scale run at x2": "carn",
    "CARN-M g4 multi_scale run at x2": "carn_m",
    "DBPN T=7 x2": "dbpn",
    "DBPN T=7 x4": "dbpn",
    "DBPN-RES-MR64-3 x4": "dbpn",
    "DBPN-SS x4": "dbpn_ss",
    "DRN-S x4": "drn_s",
    "ProSR_l (max_scale 8) run at x2": "prosr_l",
    "MSRResNet x2": "msrresnet",
    "BasicSR EDSR baseline x4": "edsr_baseline",
    "SRResNet paper x2 (no output clamp)": "srresnet",
    "SRResNet paper x4 (no output clamp)": "srresnet",
    "FSRCNN 56-12-4 Y x2": "fsrcnn",
    "ESPCN Y x2": "espcn",
    "SRCNN 9-5-5 Y (input at HR size)": "srcnn",
    "SRDenseNet All x4 (yjn870)": "srdensenet",
    "RRDBNet new layout 64/23 x4": "rrdbnet",
    "RRDBNet middle layout 64/23 x4": "rrdbnet",
    "RRDBNet old layout 64/23 x4": "rrdbnet",
    "ESRGAN+ old layout 64/6 x4": "esrgan_plus",
    "SRVGGNetCompact 64/16 x4 prelu": "compact",
    "SPAN full layout ch48 x4": "span",
    "SPAN slim layout ch28 x4": "span_ntire",
    "SPANV2 ch32 x4": "spanv2",
    "PDS 32/20 x4": "pds",
    "SPANF3 ch48 b6 x4": "spanf3",
    "IMDN 64/6 x4, DataParallel": "imdn",
    "IMDN NTIRE 64/8 x4": "imdn_ntire",
    "RFDN nf50 x4": "rfdn",
    "RLFN B layout 46/48/4 x4": "rlfn_ntire",
    "RLFN block layout 52/6 x4": "rlfn",
    "EFDN 48 x4 deploy": "efdn",
    "EFDN 48 x4 train": "efdn",
    "FMEN ERBs layout 50/16/4 x4 deploy": "fmen",
    "FMEN 50/16/4 x4 train": "fmen",
    "BSRN 64/8 x4": "bsrn",
    "BSRN-S 48/5 x4 (linear layout)": "bsrn_s",
    "ECBSR m4c16 x2 Y train": "ecbsr",
    "SAFMN++ 36/6 x4": "safmnpp",
    "SAFMN 36/8 x4": "safmn",
    "RealPLKSR 64/28 x4 GroupNorm": "realplksr",
    "PAN 40/24/16 x4": "pan",
    "NinaSR b0 x4": "ninasr_b0",
}

LARGE = ("RCAN G10R20 x2", "EDSR full x2", "SAN G20R10 x2", "CSNLN T12 x2", "RDN D16C8G64 x2", "DBPN T=7 x4")
"""Networks that take seconds; test_variants.py has their layouts and test_fingerprints.py their outputs."""

INNER: dict[str, dict[str, Any]] = {
    "DBPN-RES-MR64-3 x4": {"image_skip": False},
    "ProSR_l (max_scale 8) run at x2": {"image_skip": False, "mean_shift": False, "value_range": 1.0},
}
"""Networks whose recorded outputs lack what the authors add outside their class."""


def test_every_recorded_layout_is_compared() -> None:
    assert set(NETWORKS) == set(RECORDED)


@pytest.mark.parametrize("row", [pytest.param(row, marks=pytest.mark.slow if row in LARGE else ()) for row in NETWORKS])
def test_output_matches_the_authors_class(row: str, tmp_path: Path) -> None:
    recorded = RECORDED[row]
    path = tmp_path / "weights.pth"
    tensors = filled_by_name(recorded["tensors"], gain=recorded.get("gain", 1.2))
    torch.save({recorded["wrapper"]: tensors} if "wrapper" in recorded else tensors, path)
    arguments = INNER.get(row, {"scale": 2} if NETWORKS[row] == "fsrcnn" else {})
    net = load_checkpoint(path, **arguments)
    assert network_name(net) == NETWORKS[row]
    with torch.no_grad():
        output = net(wave_image(tuple(recorded["input"]))) * recorded["range"]
    errors = {key: abs(value - recorded[key]) / recorded["std"] for key, value in summary(output).items()}
    assert list(output.shape) == recorded["out_shape"]
    assert max(errors.values()) < 1e-9, errors
    if row == "DBPN-RES-MR64-3 x4":
        default = load_checkpoint(path)
        lr = wave_image((1, 3, 7, 5))
        assert network_name(default) == "dbpn_res_mr64_3"
        torch.testing.assert_close(default(lr), net(lr) + InterpolateUp(3, 4).double()(lr), rtol=0, atol=1e-12)
    path.unlink()

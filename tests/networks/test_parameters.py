"""Parameter counts against the published ones, counted without memory on the meta device."""

import pytest
import torch

from srblocks import create_network
from support import facts

# One row of params.json per entry: (network, row) -> (name, constructor arguments); the scale comes from the row.
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
    ("EDSR", "baseline"): ("edsr_baseline", {}),
    ("EDSR", "full"): ("edsr", {}),
    ("EDSR", "BasicSR M"): ("edsr_baseline", {}),
    ("EDSR", "BasicSR L"): ("edsr", {}),
    ("RCAN", "G10R20"): ("rcan", {}),
    ("RCAN", "BasicSR G10B20"): ("rcan", {}),
    ("LapSRN", "twtygqyy (no bias, k4 deconv)"): ("lapsrn", {"upconv_kernel": 4, "bias": False}),
    ("LapSRN", "official MatConvNet (depth10, 3x3 deconv, biases)"): ("lapsrn", {"depth": 10}),
    ("LapSRN", "official released x8 checkpoint (depth 5)"): ("lapsrn", {}),
    ("DBPN", "DBPN (T=7, feat256, base64) = D-DBPN"): ("dbpn", {}),
    ("DBPN", "DBPNLL (T=10)"): ("dbpn", {"stages": 10}),
}


def cases() -> list:
    counts = facts("params.json")
    return [
        pytest.param(name, 2 if scale == "any" else int(scale), arguments, count, id=f"{name}-{row}-x{scale}")
        for (network, row), (name, arguments) in ROWS.items()
        for scale, count in counts[network][row].items()
        if scale == "any" or scale.isdigit()
    ]


@pytest.mark.parametrize("name,scale,arguments,count", cases())
def test_parameter_count_is_the_published_one(name: str, scale: int, arguments: dict, count: int) -> None:
    with torch.device("meta"):
        net = create_network(name, scale=scale, **arguments)
    assert sum(parameter.numel() for parameter in net.parameters()) == count


# Rows of the same families that are counts of something else, or of variants that the registry does not have yet.
OTHERS = {
    "SRCNN": {row: "weights without biases" for row in facts("params.json")["SRCNN"] if row.endswith("weights-only")},
    "DBPN": {
        "EDSR-PyTorch ddbpn (n0=128,nr=32,depth6)": "another topology",
        "DBPN-RES-MR64-3": "not here yet",
        "DBPNS class, nR=32,n0=128 (paper DBPN-S)": "not here yet",
        "DBPNS class, nR=18,n0=64 (paper DBPN-SS)": "not here yet",
    },
}


def test_every_published_row_of_our_families_is_accounted_for() -> None:
    for family in {family for family, _ in ROWS}:
        rows = set(facts("params.json")[family])
        assert rows == {row for name, row in ROWS if name == family} | set(OTHERS.get(family, {}))


def test_every_network_has_a_published_count(spec) -> None:
    assert spec.name in {name for name, _ in ROWS.values()}

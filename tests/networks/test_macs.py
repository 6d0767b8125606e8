"""Multiply-accumulates of the convolutions for a 1280x720 output, compared with those of the authors' classes.

Unlike parameter counts, they depend on the resolution at which each convolution runs, and how often. They are read from
the snapshots, which tests/networks/test_snapshots.py compares with the networks.
"""

import pytest

from helpers.snapshots import SIDE, on_meta, recorded

# Giga-MACs by scale; transposed convolutions count weights times input pixels.
MEASURED = {
    "srcnn": {2: 52.7},
    "fsrcnn": {2: 2.9, 3: 1.3, 4: 0.7},
    "espcn": {2: 4.9, 3: 2.3, 4: 1.4},
    "vdsr": {2: 612.6},
    "drrn_b1u25": {2: 6796.9, 4: 6796.9},
    "srdensenet": {4: 257.0},
    "srresnet": {2: 332.2, 4: 127.8},
    "edsr_baseline": {2: 316.3, 3: 160.1, 4: 114.2},
    "edsr": {2: 9384.8, 3: 4469.5, 4: 2894.6},
    "mdsr": {2: 1497.8, 3: 684.4, 4: 409.6},
    "rdn": {2: 5096.2, 3: 2281.2, 4: 1309.2},
    "rdn_a": {2: 1276.2, 3: 576.2, 4: 328.1},
    "rcan": {2: 3526.8, 3: 1584.7, 4: 916.9},
    "drn_s": {4: 685.8, 8: 308.5},
    "drn_l": {4: 1402.8, 8: 571.3},
    "dbpn": {2: 1435.9, 4: 681.6, 8: 419.4},
    "carn": {2: 222.8, 3: 118.6, 4: 90.9},
    "carn_m": {2: 91.2, 3: 46.1, 4: 32.5},
    "prosr_l": {2: 2181.4, 4: 1456.7, 8: 850.8},
    "prosr_s": {2: 197.3, 4: 240.0, 8: 263.8},
}


def giga_macs(name: str, scale: int) -> float:
    """Return the giga-MACs for a 1280x720 output."""
    return recorded(name, scale, "macs") * (1280 // scale) * (720 // scale) / SIDE**2 / 1e9


def test_macs_match_the_authors_classes() -> None:
    for name, by_scale in MEASURED.items():
        found = {scale: giga_macs(name, scale) for scale in by_scale}
        assert found == pytest.approx(by_scale, rel=2e-4, abs=0.051), name


def test_drcn_macs_match_the_paper() -> None:
    """With the additive skip; a concatenation before the last convolution would need 17,974.4."""
    assert giga_macs("drcn", 2) == pytest.approx(17974.3, abs=0.05)


def test_memnet_macs_match_the_paper() -> None:
    """The published number counts the reconstruction once, not once per memory."""
    net = on_meta("memnet", scale=2)
    repeated = (net.config["memories"] - 1) * net.tail.weight.numel() * 1280 * 720 / 1e9
    assert giga_macs("memnet", 2) - repeated == pytest.approx(2662.4, abs=0.06)

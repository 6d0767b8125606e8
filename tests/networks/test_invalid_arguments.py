"""Arguments out of range raise an error that names the valid values, before any layer is built."""

import re

import pytest
import torch
from torch import nn

from helpers.network_arguments import choices
from srblocks import CascadingBlock, DenseBlock, IterativeUpsampling, ProgressiveUpsampling, create_network
from srblocks.blocks import LearnedAverage
from srblocks.init import bilinear_
from srblocks.networks import SRGANDiscriminator, network_specs

NETWORKS: list[tuple[str, dict[str, object], str]] = [
    ("csnln", {"scale": 5}, "scale must be 2, 3 or 4, got 5"),
    ("csnln", {"depth": 0}, "depth must be >= 1, got 0"),
    ("dbpn", {"stages": 0}, "stages must be >= 1, got 0"),
    ("dbpn", {"recursions": 0}, "recursions must be >= 1 or None, got 0"),
    ("drn_s", {"scale": 2}, "scale must be 4 or 8, or a power of 2 with width and depth, got 2"),
    ("drrn_b1u9", {"blocks": 0}, "blocks must be >= 1, got 0"),
    ("dsrn", {"steps": 2}, "steps must be >= 3 for the states to exchange features, got 2"),
    ("espcn", {"depth": 1}, "depth must be >= 2, got 1"),
    ("lapsrn", {"scale": 5}, "scale must be 2, 3 (a resized x4), 4 or 8, got 5"),
    ("ms_lapsrn", {"scale": 6}, "scale must be 2, 3 (a resized x4), 4 or 8, got 6"),
    ("prosr_s", {"scales": [2, 3]}, "scales must be powers of 2 up to 8 for 3 pyramids, got [2, 3]"),
    ("rdn_a", {"depth": 0}, "depth must be >= 1, got 0"),
    ("rednet30", {"depth": 2}, "depth must be even and >= 4 (half of the layers are transposed), got 2"),
    ("rednet30", {"depth": 8, "strides": "pairs"}, "depth must be 4 d + 2 (such as 26) with strides='pairs', got 8"),
    ("srdensenet_hl", {"depth": 0}, "depth must be >= 1, got 0"),
    ("srdensenet_hl", {"deconv_kernel": 5}, "deconv_kernel must be 2, 3 or 4, got 5"),
    ("srdensenet_hl", {"scale": 3}, "scale must be a power of 2 (2, 4, 8, ...), got 3"),
    ("vdsr", {"depth": 1}, "depth must be >= 2, got 1"),
]


def test_invalid_network_arguments_raise() -> None:
    for name, arguments, message in NETWORKS:
        with pytest.raises(ValueError, match=rf"^\w+: {re.escape(message)}$"):
            create_network(name, **arguments)


def test_invalid_choices_raise() -> None:
    found = [(spec, name, options) for spec in network_specs() for name, options in choices(spec).items()]
    assert len(found) > 20
    for spec, name, options in found:
        message = f"{name} must be one of {', '.join(map(repr, options))}, got 'other'"
        with torch.device("meta"), pytest.raises(ValueError, match=rf"^\w+: {re.escape(message)}$"):
            create_network(spec.name, **{name: "other"})


def test_invalid_block_and_framework_arguments_raise() -> None:
    with pytest.raises(ValueError, match="^CascadingBlock: depth must be >= 1, got 0$"):
        CascadingBlock(8, depth=0)
    with pytest.raises(ValueError, match="^DenseBlock: depth must be >= 1, got 0$"):
        DenseBlock(8, growth=4, depth=0)
    with pytest.raises(ValueError, match="^LearnedAverage: count must be >= 1, got 0$"):
        LearnedAverage(0)
    with pytest.raises(ValueError, match="^SRGANDiscriminator: strided_kernel must be 3 or 4, got 5$"):
        SRGANDiscriminator(strided_kernel=5)
    with pytest.raises(ValueError, match="^bilinear_: "):
        bilinear_(torch.empty(1, 1, 3, 3))
    slots = {"scale": 2, "image_channels": 1, "head": nn.Identity()}
    with pytest.raises(ValueError, match="level"):
        ProgressiveUpsampling(**slots, levels=[])
    with pytest.raises(ValueError, match=" ups"):
        IterativeUpsampling(**slots, first=nn.Identity(), ups=[], downs=[nn.Identity()], tail=nn.Identity())

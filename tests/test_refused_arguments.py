"""Arguments out of range are refused with what is allowed, before a layer is built."""

import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from srblocks import (
    BicubicResize,
    CascadingBlock,
    DenseBlock,
    IterativeUpsampling,
    LaplacianLevel,
    ProgressiveUpsampling,
    conv,
    create_network,
)
from srblocks.blocks import LearnedAverage
from srblocks.init import bilinear_
from srblocks.networks import SRGANDiscriminator

NETWORKS: list[tuple[str, dict[str, object], str]] = [
    ("csnln", {"scale": 5}, "use 2, 3 or 4"),
    ("csnln", {"depth": 0}, "use 1 run or more"),
    ("dbpn", {"stages": 0}, "use 1 up-projection or more"),
    ("dbpn", {"recursions": 0}, "use 1 pass or more, or None"),
    ("drn_s", {"variant": "m"}, "use 's' or 'l'"),
    ("drn_s", {"scale": 2}, "use 4 or 8, or a power of 2, width and depth"),
    ("drrn_b1u9", {"blocks": 0}, "use 1 recursive block or more"),
    ("dsrn", {"steps": 2}, "use 3 or more"),
    ("espcn", {"act": "gelu"}, "use 'tanh' or 'relu'"),
    ("espcn", {"depth": 1}, "use 2 convolutions or more"),
    ("ms_lapsrn", {"scale": 6}, "use 2, 3 (by resizing x4), 4 or 8"),
    ("prosr_s", {"scales": [2, 3]}, "use powers of 2 up to 8"),
    ("rdn_a", {"depth": 0}, "use 1 residual dense block or more"),
    ("rdn_a", {"upsampling": "deconv"}, "use 'pixel_shuffle' or 'bilinear'"),
    ("rednet30", {"depth": 2}, "use an even number from 4 on"),
    ("rednet30", {"strides": "all"}, "use 'none', 'ends' or 'pairs'"),
    ("rednet30", {"depth": 8, "strides": "pairs"}, "use 4 d + 2, such as 26"),
    ("srdensenet_hl", {"depth": 0}, "use 1 layer or more"),
    ("srdensenet_hl", {"deconv_kernel": 5}, "use 2, 3 or 4"),
    ("srdensenet_hl", {"scale": 3}, "use 2, 4 or 8"),
    ("srdensenet_hl", {"skips": "none"}, "use 'all', 'hl' or 'h'"),
    ("vdsr", {"depth": 1}, "use 2 convolutions or more"),
]

PARTS: list[tuple[Callable[[], object], str]] = [
    (partial(BicubicResize, 0, up=2), "use 1 or more"),
    (partial(BicubicResize, 1, up=0), "use integers of 1 or more"),
    (partial(CascadingBlock, 8, depth=0), "use 1 block or more"),
    (partial(DenseBlock, 8, growth=4, depth=0), "use 1 layer or more"),
    (partial(IterativeUpsampling, scale=2, image_channels=1, head=nn.Identity(), first=nn.Identity(), ups=[],
             downs=[nn.Identity()], tail=nn.Identity()), "give one of ups behind each of downs"),
    (partial(LaplacianLevel, 8, body=nn.Identity(), upconv_kernel=5), "use 3 or 4"),
    (partial(LearnedAverage, 0), "use 1 or more"),
    (partial(ProgressiveUpsampling, scale=2, image_channels=1, head=nn.Identity(), levels=[]), "give at least one"),
    (partial(SRGANDiscriminator, strided_kernel=5), "use 3 or 4"),
    (partial(bilinear_, torch.empty(1, 1, 3, 3)), "use twice the stride"),
    (partial(conv, 4, 6, groups=4), "use a divisor of both"),
    (partial(conv, 4, 4, -1), "use an odd number from 1 on"),
    (partial(conv, 4, 4, 2), "needs an odd one"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "remedy"), NETWORKS)
def test_of_networks(name: str, arguments: dict[str, object], remedy: str) -> None:
    ((argument, value), *_) = arguments.items()
    given = f"{argument}={value!r}" if isinstance(value, (str, list)) else f"{argument}={value}"
    with pytest.raises(ValueError, match=f"{re.escape(given)}.*; .*{re.escape(remedy)}"):
        create_network(name, **arguments)


@pytest.mark.parametrize(
    ("make", "remedy"), PARTS, ids=lambda value: value.func.__name__ if isinstance(value, partial) else ""
)
def test_of_parts(make: Callable[[], object], remedy: str) -> None:
    with pytest.raises(ValueError, match=f"; .*{re.escape(remedy)}"):
        make()

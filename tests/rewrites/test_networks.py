"""Every registered network computes the same when optimized (small widths, full structure)."""

import copy
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.network_arguments import arguments
from helpers.rewriting import all_but, around, assert_equal, exactness, names, pair, shared_tensors
from helpers.small_networks import images, randomize, small_network
from helpers.support import cases
from srblocks import Conv3XC, create_network, optimize
from srblocks.network import Network
from srblocks.networks import network_spec, network_specs
from srblocks.registry import NetworkSpec
from srblocks.rewrites import REWRITES
from srblocks.upsampling import NearestConvUp

APPLIES_TO = {
    "norm_folding": {"drrn_b1u25", "drrn_b1u9", "memnet", "srresnet"},
    "res_scale_folding": {"edsr", "prosr_l"},
    "transposed_convolution": {
        *("fsrcnn", "fsrcnn_s", "lapsrn", "ms_lapsrn", "rednet10", "rednet20", "rednet30"),
    },
    "nearest_convolution": set(),
    "value_range_folding": {
        *("carn", "carn_m", "csnln", "drn_l", "drn_s", "edsr", "edsr_baseline", "mdsr", "mdsr_baseline", "rcan", "san"),
    },
    "tail_collapse": {
        *("drn_l", "drn_s", "edsr", "edsr_baseline", "mdsr", "mdsr_baseline", "rcan", "rdn", "rdn_a", "san"),
    },
    "accumulation": {"dbpn", "dbpn_ll", "dbpn_res_mr64_3", "dbpn_s", "dbpn_ss", "memnet", "rdn", "rdn_a"},
    "dense_buffer": {"prosr_l", "prosr_s", "rdn", "rdn_a", "srdensenet", "srdensenet_h", "srdensenet_hl"},
    "gated_residual": {"drn_l", "drn_s", "rcan"},
}
KNOWN = set[str]().union(*APPLIES_TO.values()) | {"drcn", "dsrn", "espcn", "msrresnet", "srcnn", "srcnn_915", "vdsr"}
APPLIES_TO["in_place"] = KNOWN - {
    *("dbpn", "dbpn_ll", "dbpn_res_mr64_3", "dbpn_s", "dbpn_ss", "espcn", "fsrcnn", "fsrcnn_s", "ms_lapsrn"),
}
"""Rewrite -> networks that it applies to."""


def sizes(net: Network) -> list[tuple[int, int]]:
    """Return the smallest size, sizes with the smallest height or width, and one of odd sides."""
    small, step = net.min_size, net.size_multiple
    return [(small, small), (small, 7 * step), (9 * step, small), (7 * step, 5 * step)]


@pytest.mark.one_of_each_class
def test_rewrites_together_alone_and_without_one_compute_the_same(spec: NetworkSpec) -> None:
    net, optimized = pair(spec.name, spec.default_scale)
    assert_equal(optimized, net, *sizes(optimized))
    for rewrite in names(optimized):
        alone, others = optimize(net, without=all_but(rewrite)), optimize(net, without=[rewrite])
        assert names(alone) <= {rewrite}
        assert_equal(alone, net, *sizes(alone)[-2:], case=rewrite)
        assert rewrite not in names(others)
        assert_equal(others, net, sizes(others)[-1], case=f"without {rewrite}")
    rest = optimize(net, without=names(optimized))
    assert_equal(rest, net, *sizes(rest)[-2:], tolerance=None if names(rest) else 0)


@pytest.mark.slow
def test_every_scale_computes_the_same(spec: NetworkSpec) -> None:
    for scale in spec.scales:
        net, rewritten = pair(spec.name, scale)
        assert_equal(rewritten, net, *sizes(rewritten), case=scale)


@pytest.mark.one_of_each_class
@cases(2)
@given(data=st.data())
def test_random_arguments_and_rewrites_compute_the_same(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    net = randomize(create_network(spec.name, **data.draw(arguments(spec))))
    state, config, text = copy.deepcopy(net.state_dict()), dict(net.config), repr(net)
    rewritten = optimize(net, without=data.draw(st.sets(st.sampled_from(sorted(REWRITES)), max_size=3)))
    lr = data.draw(images(rewritten, more=2, steps=4))
    with torch.inference_mode():
        sr = net(lr)
        # A softmax of large products amplifies rounding: that of the image itself then changes as much.
        rounding = float((net(lr.nextafter(torch.ones(()).double())) - sr).abs().max())
        bound = max(exactness(net) * max(float(sr.std()), 1e-3), 100 * rounding)
        assert float((rewritten(lr) - sr).abs().max()) <= bound
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    assert (net.config, repr(net), net.rewrites, net.training) == (config, text, None, False)
    assert not list(shared_tensors(rewritten, net))
    tally["cases of properties of rewrites"] += 1


def test_rewrites_apply_to_the_listed_networks() -> None:
    for spec in network_specs():
        if spec.name in KNOWN:
            applied = names(pair(spec.name, spec.default_scale)[1])
            assert applied == {name for name, nets in APPLIES_TO.items() if spec.name in nets}, spec.name


def test_every_rewrite_applies_to_a_network_or_a_block() -> None:
    used = {name for name, nets in APPLIES_TO.items() if nets}
    used |= names(optimize(around(upsampler=NearestConvUp(6, 2)))) | names(optimize(around(Conv3XC(6, 6))))
    assert used == set(REWRITES)


def test_srresnet_keeps_only_norms_without_statistics() -> None:
    net = small_network(network_spec("srresnet"))
    instance = type(net)(**{**net.config, "norm": "instance"}).double().eval()
    for original, expected in ((net, 0), (instance, 5)):
        kept = [module for module in optimize(original).modules() if type(module).__name__.endswith("Norm2d")]
        assert len(kept) == expected

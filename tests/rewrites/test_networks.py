"""Every network of the registry computes the same when optimized (small widths, full structure)."""

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
from srblocks import create_network, optimize
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks.registry import NetworkSpec
from srblocks.rewrites import REWRITES
from srblocks.upsampling import NearestConvUp

# The networks that each rewrite applies to.
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


def sizes(net: Network) -> list[tuple[int, int]]:
    """The smallest size, one with the smallest width or height, and odd ones."""
    small, step = net.min_size, net.size_multiple
    return [(small, small), (small, 7 * step), (9 * step, small), (7 * step, 5 * step)]


@pytest.mark.one_of_each_class
def test_every_scale_computes_the_same_at_the_smallest_and_at_odd_sizes(spec: NetworkSpec, scale: int) -> None:
    net, rewritten = pair(spec.name, scale)
    assert_equal(rewritten, net, *sizes(rewritten))


@cases(1)
@given(data=st.data())
def test_random_arguments_rewrites_sizes_and_batches_compute_the_same_and_the_network_stays(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    net = randomize(create_network(spec.name, **data.draw(arguments(spec))))
    state, config, shown = copy.deepcopy(net.state_dict()), dict(net.config), repr(net)
    rewritten = optimize(net, without=data.draw(st.sets(st.sampled_from(sorted(REWRITES)), max_size=3)))
    for _ in range(2):
        lr = data.draw(images(rewritten, more=2, steps=4))
        with torch.inference_mode():
            sr = net(lr)
            # A softmax of large products amplifies rounding: that of the image itself then changes as much.
            rounding = float((net(lr.nextafter(torch.ones(()).double())) - sr).abs().max())
            bound = max(exactness(net) * max(float(sr.std()), 1e-3), 100 * rounding)
            assert float((rewritten(lr) - sr).abs().max()) <= bound
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    assert (net.config, repr(net), net.rewrites, net.training) == (config, shown, None, False)
    assert not list(shared_tensors(rewritten, net))
    tally["cases of properties of rewrites"] += 2


@pytest.mark.one_of_each_class
def test_each_rewrite_alone_computes_the_same(spec: NetworkSpec) -> None:
    net = pair(spec.name, min(spec.scales))[0]
    for rewrite in REWRITES:
        rewritten = optimize(net, without=all_but(rewrite))
        assert names(rewritten) <= {rewrite}
        assert_equal(rewritten, net, *sizes(rewritten)[-2:], tolerance=None if names(rewritten) else 0)


@pytest.mark.one_of_each_class
def test_all_but_one_rewrite_compute_the_same(spec: NetworkSpec) -> None:
    net, optimized = pair(spec.name, min(spec.scales))
    for rewrite in names(optimized):
        rewritten = optimize(net, without=[rewrite])
        assert rewrite not in names(rewritten)
        assert_equal(rewritten, net, *sizes(rewritten)[-2:])


def test_rewrites_apply_to_the_listed_networks(spec: NetworkSpec) -> None:
    if spec.name in KNOWN:
        rewritten = pair(spec.name, min(spec.scales))[1]
        assert names(rewritten) == {name for name, nets in APPLIES_TO.items() if spec.name in nets}


def test_every_rewrite_applies_to_a_network_of_the_registry_or_the_upsampler_of_esrgan() -> None:
    used = {name for name, nets in APPLIES_TO.items() if nets}
    assert used | names(optimize(around(upsampler=NearestConvUp(6, 2)))) == set(REWRITES)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_srresnet_loses_the_norms_that_have_statistics(norm: str) -> None:
    spec = network_spec("srresnet")
    net = small_network(spec)
    if norm == "instance":
        net = type(net)(**{**net.config, "norm": norm}).double().eval()
    left = [module for module in optimize(net).modules() if type(module).__name__.endswith("Norm2d")]
    assert len(left) == (5 if norm == "instance" else 0)

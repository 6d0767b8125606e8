"""Optimized networks scripted, traced, exported, in single precision and in channels_last format."""

import warnings
from pathlib import Path

import pytest
import torch

from helpers.rewriting import assert_equal, exactness, image, names, pair
from helpers.support import relative_error, trained_alike
from srblocks import create_network, optimize
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec

# The square root of SAN's covariances amplifies rounding.
SINGLE = {"san": 1e-3}


@pytest.fixture
def optimized(spec: NetworkSpec) -> Network:
    return pair(spec.name, min(spec.scales))[1]


@pytest.mark.one_of_each_class
def test_scripted_and_traced_networks_compute_the_same_at_two_sizes(optimized: Network, tmp_path: Path) -> None:
    torch.jit.script(optimized).save(tmp_path / "net.pt")
    scripted = torch.jit.load(tmp_path / "net.pt")
    traced = torch.jit.trace(optimized, image(optimized, 8, 11, batch=1))
    for size in ((1, 1), (7, 10)):
        lr = image(optimized, *size)
        expected = optimized(lr)
        assert relative_error(scripted(lr), expected) <= exactness(optimized)
        assert relative_error(traced(lr), expected) <= exactness(optimized)


@pytest.mark.one_of_each_class
def test_memory_formats_and_views_compute_the_same(spec: NetworkSpec, optimized: Network) -> None:
    bound = exactness(optimized)
    for size in ((1, 1), (7, 10)):
        lr = image(optimized, *size)
        assert relative_error(optimized(lr.contiguous(memory_format=torch.channels_last)), optimized(lr)) <= bound
    min_size = optimized.min_size
    wide = image(optimized, 2 * min_size, 3 * min_size)
    for view in (wide[:, :, min_size:, min_size : 2 * min_size], wide.transpose(2, 3)):
        assert relative_error(optimized(view), optimized(view.contiguous())) <= bound
    net = pair(spec.name, min(spec.scales))[0]
    channels_last = optimize(net).to(memory_format=torch.channels_last)
    lr = image(optimized, 7, 10).contiguous(memory_format=torch.channels_last)
    assert relative_error(channels_last(lr), net(lr)) <= bound


@pytest.mark.one_of_each_class
def test_in_single_precision_it_agrees_with_the_original(spec: NetworkSpec) -> None:
    config = {**spec.reduced, **({"width": 32} if spec.name == "edsr" else {})}
    net = trained_alike(create_network(spec.name, scale=min(spec.scales), **config))
    for size in ((1, 1), (11, 8)):
        assert_equal(optimize(net), net, size, tolerance=SINGLE.get(spec.name, 2e-5))


EXPORTED = ("dbpn_ss", "edsr_baseline", "fsrcnn_s", "memnet", "prosr_s", "rcan", "rdn", "srresnet")


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_with_dynamic_sizes_it_computes_the_same(name: str) -> None:
    spec = next(spec for spec in network_specs() if spec.name == name)
    optimized = pair(name, min(spec.scales))[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        sides = {0: torch.export.Dim("n"), 2: torch.export.Dim("h", min=4), 3: torch.export.Dim("w", min=4)}
        program = torch.export.export(optimized, (image(optimized, 8, 11),), dynamic_shapes=(sides,)).module()
    for size, batch in (((4, 4), 1), ((5, 13), 3)):
        lr = image(optimized, *size, batch=batch)
        assert relative_error(program(lr), optimized(lr)) <= exactness(optimized)


def test_the_exported_networks_cover_every_rewrite_of_the_registry() -> None:
    scales = {spec.name: min(spec.scales) for spec in network_specs()}
    covered = set().union(*(names(pair(name, scales[name])[1]) for name in EXPORTED))
    used = set().union(*(names(pair(name, scale)[1]) for name, scale in scales.items()))
    assert covered == used - {"res_scale_folding"}

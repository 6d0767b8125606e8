"""Optimized networks scripted, traced, exported, and in single precision."""

import warnings
from pathlib import Path

import pytest
import torch

from helpers.rewriting import assert_equal, exactness, image, names, pair
from helpers.support import needs_torch_export, relative_error, trained_alike
from srblocks import create_network, optimize
from srblocks.networks import network_spec
from srblocks.registry import NetworkSpec
from srblocks.rewrites import REWRITES

# The square root of SAN's covariances, and gates at values up to 255, amplify rounding.
FLOAT32 = {"san": 1e-3, "fmen": 3e-3, "rfdn": 3e-3, "rlfn_s": 3e-3}


@pytest.mark.one_of_each_class
def test_scripted_and_traced_networks_compute_the_same(spec: NetworkSpec, tmp_path: Path) -> None:
    optimized = pair(spec.name, spec.default_scale)[1]
    torch.jit.script(optimized).save(tmp_path / "net.pt")
    scripted = torch.jit.load(tmp_path / "net.pt")
    traced = torch.jit.trace(optimized, image(optimized, 8, 11, batch=1), check_trace=False)
    for size in ((1, 1), (7, 10)):
        lr = image(optimized, *size)
        expected = optimized(lr)
        assert relative_error(scripted(lr), expected) <= exactness(optimized), size
        assert relative_error(traced(lr), expected) <= exactness(optimized), size


@pytest.mark.one_of_each_class
def test_float32_agrees_with_the_original(spec: NetworkSpec) -> None:
    width = spec.arguments().get("width") or 0
    config = {**spec.reduced, **({"width": 32} if width > 32 else {})}
    net = trained_alike(create_network(spec.name, scale=spec.default_scale, **config))
    assert_equal(optimize(net), net, (1, 1), (11, 8), tolerance=FLOAT32.get(spec.name, 2e-5))


EXPORTED = ("dbpn_ss", "fsrcnn_s", "memnet", "rcan", "rdn")


@needs_torch_export
@pytest.mark.parametrize("name", EXPORTED)
def test_export_with_dynamic_sizes_computes_the_same(name: str) -> None:
    optimized = pair(name, network_spec(name).default_scale)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        sides = {0: torch.export.Dim("n"), 2: torch.export.Dim("h", min=4), 3: torch.export.Dim("w", min=4)}
        program = torch.export.export(optimized, (image(optimized, 8, 11),), dynamic_shapes=(sides,)).module()
    for size, batch in (((4, 4), 1), ((5, 13), 3)):
        lr = image(optimized, *size, batch=batch)
        assert relative_error(program(lr), optimized(lr)) <= exactness(optimized), size


def test_exported_networks_cover_every_rewrite_of_their_layers() -> None:
    exported = [pair(name, network_spec(name).default_scale)[1] for name in EXPORTED]
    covered = set().union(*map(names, exported))
    assert covered == set(REWRITES) - {"reparameterization", "res_scale_folding", "nearest_convolution"}

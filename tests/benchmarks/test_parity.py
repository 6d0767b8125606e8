"""Weights under which outputs tell something, and how outputs are compared."""

import pytest
import torch

from harness import parity
from helpers.support import relative_error
from srblocks.networks import network_specs


@pytest.mark.parametrize("name", ["edsr_baseline", "rcan", "memnet", "srresnet", "lapsrn", "drn_s"])
def test_calibrated_networks_keep_their_features_and_are_reproducible(name: str) -> None:
    spec = next(spec for spec in network_specs() if spec.name == name)
    scale = max(spec.scales)
    net, again = (parity.drawn(name, scale, **spec.reduced) for _ in range(2))
    lr = torch.rand(1, net.image_channels, 16, 16)
    with torch.no_grad():
        sr = net(lr)
        assert torch.equal(sr, again(lr))
        assert 1e-4 < float(sr.std()) < 100
        for parameter in net.parameters():
            parameter.mul_(1.05)
        assert relative_error(net(lr), sr) > 1e-3
    assert not net.training


def test_psnr() -> None:
    reference = torch.tensor([0.0, 1.0, 2.0, 3.0])
    assert parity.psnr(reference, reference) == float("inf")
    assert parity.psnr(reference + 0.03, reference) == pytest.approx(40)


@pytest.mark.parametrize(
    ("error", "precision", "tf32", "ok", "told"),
    [
        (0.0, "fp32", False, True, "0e+00"),
        (5e-5, "fp32", False, True, "5e-05"),
        (5e-3, "fp32", False, False, "WRONG, 5e-03"),
        (5e-3, "fp32", True, True, "57 dB"),
        (5e-3, "fp16", False, True, "57 dB"),
        (2.0, "bf16", False, False, "WRONG, 2.0"),
        (torch.inf, "bf16", False, False, "WRONG, not finite"),
    ],
)
def test_parity_is_judged_by_precision(error: float, precision: str, tf32: bool, ok: bool, told: str) -> None:
    reference = torch.linspace(0, 10, 101)
    output = reference + error * reference.std()
    found = parity.parity(output, reference, precision, tf32=tf32)
    assert (found.ok, str(found)) == (ok, told)
    assert (found.decibels is None) == (error in (0.0, torch.inf))


def test_another_shape_is_wrong() -> None:
    assert not parity.parity(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 8, 8), "fp32").ok

"""Parity, interleaved timing and command-line options."""

import pytest
import torch

import latency
import parity
import timing
from helpers.support import relative_error
from srblocks.networks import network_spec


@pytest.mark.parametrize("name", ["edsr_baseline", "rcan", "srresnet", "lapsrn"])
def test_random_networks_are_reproducible_and_keep_their_scale(name: str) -> None:
    spec = network_spec(name)
    net, again = (parity.random_network(name, spec.default_scale, **spec.reduced) for _ in range(2))
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


def test_parity_tolerance_depends_on_precision() -> None:
    reference = torch.linspace(0, 10, 101)
    for error, precision, tf32, ok, text in (
        (0.0, "fp32", False, True, "0e+00"),
        (5e-5, "fp32", False, True, "5e-05"),
        (5e-3, "fp32", False, False, "WRONG, 5e-03"),
        (5e-3, "fp32", True, True, "57 dB"),
        (5e-3, "fp16", False, True, "57 dB"),
        (2.0, "bf16", False, False, "WRONG, 2.0"),
        (torch.inf, "bf16", False, False, "WRONG, not finite"),
    ):
        output = reference + error * reference.std()
        found = parity.parity(output, reference, precision, tf32=tf32)
        assert (found.ok, str(found)) == (ok, text), (error, precision, tf32)
        assert (found.psnr_db is None) == (error in (0.0, torch.inf)), error
    assert not parity.parity(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 8, 8), "fp32").ok


def test_timing_percentiles_and_noise() -> None:
    series = timing.Timing(tuple(float(value) for value in range(100, 0, -1)))
    assert (series.minimum, series.median) == (1, 50.5)
    assert series.to_json() == {"median": 50.5, "min": 1.0, "p10": 11.0, "p90": 91.0}
    assert series.noisy
    assert not timing.Timing((20, 23, 23)).noisy


def test_rounds_alternate_between_forward_and_reverse_order() -> None:
    order: list[str] = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}

    def measure(run) -> int:
        run()
        return len(order)

    samples = timing.interleave(runs, rounds=2, warm_up=1, measure=measure)
    assert "".join(order) == "abc" + "abc" + "cba"
    assert samples == {"a": [4, 9], "b": [5, 8], "c": [6, 7]}


def test_ratios_are_paired_by_round() -> None:
    assert timing.paired_ratio((10, 20, 30), (5, 20, 10)) == 2
    assert timing.paired_ratio((10, 40, 12), (5, 10, 8)) == 2
    with pytest.raises(ValueError, match="shorter"):
        timing.paired_ratio((1, 2), (1,))


def test_median_confidence_interval() -> None:
    assert timing.median_interval([3.0]) == (3.0, 3.0)
    assert timing.median_interval([5.0, 1.0, 4.0, 2.0, 3.0]) == (1.0, 5.0)  # 15 of 16 at most
    assert timing.median_interval(range(6)) == (0, 5)  # 31 of 32
    assert timing.median_interval(range(11)) == (1, 9)  # 98.8 %; (2, 8) would be 93.5 %
    assert timing.median_interval(range(100)) == (39, 60)


def test_invalid_options(capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["--networks", "edsr-x5"], "unknown network 'edsr-x5'; available: "),
        (["--networks", "fsrcnn-x2", "--shapes", "64x64"], "invalid shape '64x64'; expected NxHxW"),
        (["--networks", "fsrcnn-x2", "--shapes", "1x0x64"], "invalid shape '1x0x64'"),
        (["--quick", "--shapes", "1x64x64"], "--quick excludes --networks and --shapes"),
    ):
        with pytest.raises(SystemExit, match=message):
            latency.main(options)
    for value in ("0", "-1", "two"):
        with pytest.raises(SystemExit, match="2"):
            latency.main(["--threads", value])
        assert f"expected an integer >= 1, got '{value}'" in capsys.readouterr().err

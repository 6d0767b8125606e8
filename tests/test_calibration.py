"""Calibration finds values that overflow a precision, and the modules to keep in float32."""

import math

import pytest
import torch
from torch import Tensor, nn

from helpers.support import trained_alike
from srblocks import OnLuma, create_network, optimize, to_precision
from srblocks.network import Network
from srblocks.precision import Calibration, calibrate


def overflowing(large: float = 1e6) -> Network:
    """Return a network with a block whose first convolution outputs `large` values and whose second reverses that."""
    net = trained_alike(create_network("edsr_baseline", depth=3, value_range=1.0))
    with torch.no_grad():
        net.get_parameter("body.1.conv1.weight").mul_(large)
        net.get_parameter("body.1.conv2.weight").mul_(1 / large)
    return net


def images() -> list[Tensor]:
    return [torch.rand(1, 3, 8, 9), torch.rand(2, 3, 5, 4)]


def test_overflow_is_found_and_fixed_by_fp32_modules() -> None:
    net, lr = overflowing(), torch.rand(1, 3, 8, 9)
    found = calibrate(net, [lr])
    assert list(found.overflowing("fp16")) == ["body.1.conv1", "body.1.norm1", "body.1.act"]
    message = (
        r"^fp16: max \|activation\| \d\.\d+e\+06 in body\.1\.conv1 \(and 2 more\) exceeds 65504; "
        r"keep it in fp32 with fp32_modules=\('body\\\\\.1',\) or use bf16$"
    )
    with pytest.raises(OverflowError, match=message):
        found.check("fp16")
    assert found.check("bf16") == found.check("fp16", [r"body\.1"]) == []
    with torch.inference_mode():
        reference = net(lr)
        assert not to_precision(net, "fp16")(lr).isfinite().all()
        fixed = to_precision(net, "fp16", fp32_modules=found.float32_modules("fp16"))(lr)
    assert (fixed - reference).square().mean().sqrt() < 4e-3 * reference.std()


def test_outputs_of_fp32_modules_must_fit() -> None:
    found = calibrate(overflowing(), images())
    assert list(found.overflowing("fp16", [r"body\.1\.conv1"])) == ["body.1.conv1", "body.1.norm1", "body.1.act"]
    assert found.float32_modules("fp16", [r"body\.1\.conv1"]) == [r"body\.1\.conv1", r"body\.1"]
    assert found.overflowing("fp16", ["body"]) == {}


def test_every_module_is_recorded_and_the_network_unchanged() -> None:
    net = overflowing()
    found = calibrate(net, images())
    paths = [path for path, _ in net.named_modules()]
    assert set(found.maxima) == set(paths)
    assert next(iter(found.outputs)) == "normalise.0"
    assert found.largest == max(found.maxima.values()) > 1e5
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    image = torch.full((1, 3, 6, 6), 0.25)
    white = calibrate(create_network("edsr_baseline", depth=1), [image]).outputs["normalise.0"]
    assert white == pytest.approx(255 / 4)


def test_maximum_over_all_images_is_recorded() -> None:
    net = create_network("edsr_baseline", depth=1)
    dark, light = torch.zeros(1, 3, 6, 6), torch.ones(1, 3, 6, 6)
    for order in ([dark, light], [light, dark]):
        assert calibrate(net, order).outputs["normalise.0"] == 255
    with pytest.raises(ValueError, match="calibrate: images is empty; pass at least one"):
        calibrate(net, [])


def test_functional_operations_are_recorded() -> None:
    net = trained_alike(create_network("san", groups=1, blocks_per_group=1))
    found = calibrate(net, [torch.rand(1, 3, 12, 9)])
    attention = "body.groups.0.body.1"
    assert found.maxima[attention] > 65504 > found.outputs[attention]
    assert found.float32_modules("fp16") == [attention.replace(".", r"\.")]


def test_overflow_in_the_network_itself_suggests_no_fp32_modules() -> None:
    found = Calibration({"": 7e4, "head": 6e4}, {"": 7e4, "head": 6e4})
    with pytest.raises(OverflowError, match=r"70000 in the network itself exceeds 65504; use bf16$"):
        found.check("fp16")


def test_modules_that_are_never_called_are_no_fp32_modules() -> None:
    found = Calibration({"": 1.0, "body": 0.0, "body.0": 9e4}, {"": 1.0, "body.0": 9e4})
    assert found.overflowing("fp16", ["body"]) == {"body.0": 9e4}
    assert found.float32_modules("fp16") == []


def test_more_than_half_of_the_range_warns() -> None:
    found = Calibration({"": 1.0, "head": 4e4}, {"": 1.0, "head": 4e4})
    assert found.check("fp16") == ["fp16: max |activation| 40000 in head is close to the maximum of 65504"]
    assert found.check("bf16") == []
    assert Calibration({"": 1.0, "head": 3e4}, {"": 1.0, "head": 3e4}).check("fp16") == []


def test_nan_and_infinity_overflow_every_precision() -> None:
    for value in (math.nan, math.inf):
        net = create_network("espcn", scale=2)
        with torch.no_grad():
            net.get_parameter("head.0.bias")[0] = value
        found = calibrate(net, [torch.rand(1, 1, 5, 6)])
        assert found.maxima["head.0"] == math.inf
        with pytest.raises(OverflowError, match=r"inf in head\.0.* exceeds 3\.38953e\+38; use other weights or fp32"):
            found.check("bf16")


def test_weights_that_overflow_are_found_for_any_output() -> None:
    net = create_network("espcn", scale=2)
    with torch.no_grad():
        net.get_parameter("head.0.weight").fill_(1e5)
    assert calibrate(net, [torch.zeros(1, 1, 5, 6)]).overflowing("fp16") == {"head.0": 1e5}


def test_expressions_without_a_match_raise() -> None:
    found = Calibration({"": 1.0, "head": 1.0}, {"": 1.0, "head": 1.0})
    with pytest.raises(ValueError, match="'haed' does not fully match any module path; closest: head"):
        found.check("fp16", ["haed"])


def test_uninitialized_memory_is_ignored() -> None:
    class Buffered(Network):
        def forward(self, lr: Tensor) -> Tensor:
            buffer = lr.new_empty(lr.shape)
            buffer[:] = lr
            return buffer + torch.empty_like(lr).zero_()

    torch.use_deterministic_algorithms(True)  # fills such memory with NaN
    try:
        assert calibrate(Buffered(scale=1, image_channels=1), [torch.rand(1, 1, 5, 6)]).largest <= 1
    finally:
        torch.use_deterministic_algorithms(False)


def test_wrapped_and_optimized_networks_use_their_own_paths() -> None:
    net = create_network("fsrcnn", scale=2)
    lr = torch.rand(1, 3, 8, 9)
    assert "net.head.0" in calibrate(OnLuma(net), [lr]).outputs
    better = optimize(net)
    assert set(calibrate(better, [lr[:, :1]]).maxima) == {
        path for path, _ in better.named_modules(remove_duplicate=False)
    }
    assert isinstance(better.get_submodule("head.0"), nn.Conv2d)

"""The output of a network depends only on the image, whatever its size, memory layout and batch."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.small_networks import MEMORY_LAYOUTS, images, small_network
from helpers.support import cases, relative_error
from srblocks import create_network
from srblocks.blocks import GaussianNoise
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec

ROUNDING = 1e-9
"""Maximum difference of sums in another order in float64, relative to the output's standard deviation."""

COUNTER = "cases of properties of networks"


def tensors(net: Network) -> dict[str, Tensor]:
    """Return copies of the parameters and buffers, including buffers that are not in the state dict."""
    return {name: tensor.detach().clone() for name, tensor in [*net.named_parameters(), *net.named_buffers()]}


@cases(1)
@given(data=st.data())
def test_output_depends_only_on_the_image(spec: NetworkSpec, data: st.DataObject, tally: Counter[str]) -> None:
    for scale in spec.scales:
        net = small_network(spec, scale)
        lr = data.draw(images(net, batches=(2, 3)))
        sr = assert_pure(net, lr, scale)
        with torch.inference_mode():
            assert torch.equal(net(lr), sr), scale
            for small in (net(lr[:0]), net(data.draw(images(net, batches=(1, 1), steps=2)))):
                assert small.isfinite().all(), scale
            layout = data.draw(st.sampled_from(list(MEMORY_LAYOUTS)))
            found = {
                layout: (net(MEMORY_LAYOUTS[layout](lr)), sr),
                "last image alone": (net(lr[-1:]), sr[-1:]),
                "expanded": (net(lr[:1].expand(3, -1, -1, -1)), sr[:1].expand(3, -1, -1, -1)),
            }
        for name, (output, expected) in found.items():
            if expected.std():
                assert relative_error(output, expected) < ROUNDING, (scale, name)
        tally[COUNTER] += 6


def assert_pure(net: Network, lr: Tensor, scale: int) -> Tensor:
    """Assert that forward is deterministic and writes nothing; return its output."""
    before, version, weights, random = lr.clone(), lr._version, tensors(net), torch.random.get_rng_state()
    sr = net(lr)
    assert sr.shape == (*lr.shape[:2], scale * lr.shape[2], scale * lr.shape[3])
    assert sr.dtype == lr.dtype
    assert sr.isfinite().all(), scale
    assert torch.equal(net(lr), sr), scale
    assert lr._version == version, "the image was written, even if its values are unchanged"
    assert torch.equal(lr, before), scale
    assert sr.untyped_storage().data_ptr() != lr.untyped_storage().data_ptr(), scale
    assert torch.equal(torch.random.get_rng_state(), random), scale
    assert all(torch.equal(tensor, weights[name]) for name, tensor in tensors(net).items()), scale
    return sr.detach()


@cases(1)
@given(data=st.data())
@torch.no_grad()
def test_train_mode_changes_only_batch_norm(spec: NetworkSpec, data: st.DataObject, tally: Counter[str]) -> None:
    net = small_network(spec, data.draw(st.sampled_from(spec.scales)))
    for noise in (module for module in net.modules() if isinstance(module, GaussianNoise)):
        noise.std = 0.0
    lr = data.draw(images(net, batches=(2, 3), more=2))
    before = tensors(net)
    sr, trained = net(lr), net.train()(lr)
    changed = {name for name, tensor in tensors(net).items() if not torch.equal(tensor, before[name])}
    if any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
        assert not torch.equal(trained, sr)
        assert changed == {name for name in before if "running" in name or "tracked" in name}
    else:
        assert torch.equal(trained, sr)
        assert not changed
    tally[COUNTER] += 1


@cases(1)
@given(data=st.data())
def test_invalid_shapes_raise_a_one_line_error_before_any_layer_runs(data: st.DataObject, tally: Counter[str]) -> None:
    for spec in network_specs():
        net = create_network(spec.name, scale=data.draw(st.sampled_from(spec.scales)), **spec.reduced)
        net.register_module("layers", nn.ModuleList())
        for module in list(net.modules())[1:]:
            module.register_forward_pre_hook(lambda *_: pytest.fail("a layer ran"))
        good = data.draw(images(net, batches=(1, 1), steps=2))
        wrong = [good[0], good[None], good.repeat(1, 2, 1, 1), good[:, :, :0], good[..., : net.min_size - 1]]
        wrong += [good[:, :, 1:]] if net.size_multiple > 1 else []
        for lr in wrong:
            for arguments in ({"args": (lr,)}, {"kwargs": {"lr": lr}}):
                with pytest.raises(ValueError, match=rf"{type(net).__name__}: expected images of shape \(N, ") as error:
                    net(*arguments.get("args", ()), **arguments.get("kwargs", {}))
                assert "\n" not in str(error.value), spec.name
            tally[COUNTER] += 1

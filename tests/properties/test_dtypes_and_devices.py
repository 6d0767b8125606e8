"""Networks in other precisions and on other devices, there and back."""

import copy
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.small_networks import images, small_network
from helpers.support import cases, trained_alike
from srblocks import create_network
from srblocks._utils.memory import LiveTensors
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec

SINGLE = 1e-4
"""Largest error of float32, relative to the output's standard deviation."""

AUTOCAST = {torch.bfloat16: 0.12, torch.float16: 0.015}
"""Largest error under autocast, relative to the output's standard deviation, of weights that keep values near 1."""

TRIED = "cases of properties of networks"


def near_one(spec: NetworkSpec, scale: int) -> Network:
    """The network, short, with weights and a value range that keep all values near 1, in float32."""
    config = {"value_range": 1.0} if "value_range" in spec.arguments() else {}
    return trained_alike(create_network(spec.name, scale=scale, **spec.reduced, **config), 0.5)


@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_float32_agrees_with_float64_at_any_size(
    spec: NetworkSpec, scale: int, data: st.DataObject, tally: Counter[str]
) -> None:
    net = small_network(spec, scale)
    lr = data.draw(images(net, more=2))
    sr = net(lr)
    single = net.float()(lr.float())
    assert single.dtype == torch.float32
    assert float((single - sr).abs().max()) <= SINGLE * max(float(sr.std()), 1e-3)
    tally[TRIED] += 1


@cases(1)
@given(data=st.data())
@torch.no_grad()
def test_under_autocast_the_output_is_close_and_images_and_weights_stay(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    net = near_one(spec, data.draw(st.sampled_from(spec.scales)))
    lr = data.draw(images(net, steps=3, more=4))
    dtype = data.draw(st.sampled_from(list(AUTOCAST)))
    before, sr = lr.clone(), net(lr)
    with torch.autocast("cpu", dtype=dtype):
        cast = net(lr)
    assert cast.dtype in {dtype, torch.float32}
    assert cast.isfinite().all()
    assert float((cast.float() - sr).abs().max()) <= AUTOCAST[dtype] * max(float(sr.std()), 0.05)
    assert torch.equal(lr, before)
    assert {tensor.dtype for tensor in net.parameters()} == {torch.float32}
    assert torch.equal(net(lr), sr)
    tally[TRIED] += 1


@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_a_network_that_went_through_other_precisions_and_came_back_is_the_same(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    net = small_network(spec, data.draw(st.sampled_from(spec.scales))).float()
    lr = data.draw(images(net))
    sr = net(lr)
    there = copy.deepcopy(net).double()
    assert there(lr.double()).dtype == torch.float64
    assert torch.equal(there.float()(lr), sr)
    for half in (torch.float16, torch.bfloat16):
        near = near_one(spec, net.scale).to(half)
        assert near(lr.to(half)).dtype == half
        rounded = {name: tensor.to(half).float() for name, tensor in net.state_dict().items()}
        back = copy.deepcopy(net).to(half).float()
        held = back.state_dict()
        exact = [name for name in held if not torch.equal(held[name], rounded[name])]
        assert all("normalise" in name for name in exact), "only constants of the constructor are made anew"
    tally[TRIED] += 3


@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_on_the_meta_device_shapes_follow_without_computing(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    net = small_network(spec, data.draw(st.sampled_from(spec.scales)))
    lr = data.draw(images(net))
    sr = net(lr)
    away = copy.deepcopy(net).to("meta")
    with LiveTensors(away.parameters()) as tensors:
        shape = away(lr.to("meta")).shape
    assert shape == sr.shape
    assert tensors.peak > 0
    side = 2**13 * net.size_multiple
    wide = torch.empty(1, net.image_channels, side, side, dtype=lr.dtype, device="meta")
    assert away(wide).shape[2:] == (side * net.scale, side * net.scale)
    back = away.to_empty(device="cpu")
    back.load_state_dict(net.state_dict())
    assert torch.equal(back(lr), sr)
    tally[TRIED] += 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch sees")
@cases(60)
@given(data=st.data())
@torch.inference_mode()
def test_on_a_gpu_the_output_is_that_of_the_processor(data: st.DataObject, tally: Counter[str]) -> None:
    spec = data.draw(st.sampled_from(network_specs()))
    net = small_network(spec, data.draw(st.sampled_from(spec.scales)))
    lr = data.draw(images(net, more=2))
    sr = net(lr)
    there = copy.deepcopy(net).to("cuda")
    assert float((there(lr.to("cuda")).cpu() - sr).abs().max()) <= 1e-9 * max(float(sr.std()), 1e-3)
    assert torch.equal(there.to("cpu")(lr), sr)
    tally[TRIED] += 1

"""Networks in other dtypes, under autocast, and on other devices."""

import copy
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.small_networks import images, narrow_arguments, small_network
from helpers.support import cases, trained_alike
from srblocks import create_network
from srblocks._utils.memory import LiveTensors
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec

FLOAT32 = 1e-4
"""Maximum error of float32, relative to the output's standard deviation."""

AUTOCAST = {torch.bfloat16: 0.12, torch.float16: 0.015}
"""Maximum error under autocast, relative to the output's standard deviation, of values near 1."""

COUNTER = "cases of properties of networks"


def network_with_values_near_one(spec: NetworkSpec, scale: int) -> Network:
    """Return a small network in float32 whose weights and value range keep all values near 1."""
    config = {"value_range": 1.0} if "value_range" in spec.arguments() else {}
    return trained_alike(
        create_network(spec.name, scale=scale, **spec.reduced, **config, **narrow_arguments(spec)), 0.5
    )


@pytest.mark.one_of_each_class
@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_casts_agree_and_round_trip(spec: NetworkSpec, data: st.DataObject, tally: Counter[str]) -> None:
    for scale in spec.scales:
        net = small_network(spec, scale)
        lr = data.draw(images(net, more=2))
        expected = net(lr)
        sr = net.float()(lr := lr.float())
        assert sr.dtype == torch.float32
        assert float((sr - expected).abs().max()) <= FLOAT32 * max(float(expected.std()), 1e-3), scale
        tally[COUNTER] += 1
    double = copy.deepcopy(net).double()
    assert double(lr.double()).dtype == torch.float64
    assert torch.equal(double.float()(lr), sr)
    for dtype in (torch.float16, torch.bfloat16):
        assert network_with_values_near_one(spec, net.scale).to(dtype)(lr.to(dtype)).dtype == dtype
        rounded = {name: tensor.to(dtype).float() for name, tensor in net.state_dict().items()}
        restored = copy.deepcopy(net).to(dtype).float().state_dict()
        exact = [name for name in restored if not torch.equal(restored[name], rounded[name])]
        assert all("normalise" in name for name in exact), "only constants may keep their full precision"
    tally[COUNTER] += 3


@pytest.mark.one_of_each_class
@cases(1)
@given(data=st.data())
@torch.no_grad()
def test_autocast_output_is_close_and_changes_neither_images_nor_weights(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    net = network_with_values_near_one(spec, data.draw(st.sampled_from(spec.scales)))
    lr = data.draw(images(net, steps=3, more=2))
    before, sr = lr.clone(), net(lr)
    for dtype, bound in AUTOCAST.items():
        with torch.autocast("cpu", dtype=dtype):
            cast = net(lr)
        assert cast.dtype in {dtype, torch.float32}
        assert cast.isfinite().all(), dtype
        assert float((cast.float() - sr).abs().max()) <= bound * max(float(sr.std()), 0.05), dtype
        assert torch.equal(lr, before), dtype
        assert {tensor.dtype for tensor in net.parameters()} == {torch.float32}
        tally[COUNTER] += 1
    assert torch.equal(net(lr), sr)


@pytest.mark.one_of_each_class
@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_meta_device_infers_shapes_without_computing(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    net = small_network(spec, data.draw(st.sampled_from(spec.scales)))
    lr = data.draw(images(net))
    sr = net(lr)
    meta = copy.deepcopy(net).to("meta")
    with LiveTensors(meta.parameters()) as live:
        shape = meta(lr.to("meta")).shape
    assert shape == sr.shape
    assert live.peak > 0
    side = 2**13 * net.size_multiple
    large = torch.empty(1, net.image_channels, side, side, dtype=lr.dtype, device="meta")
    assert meta(large).shape[2:] == (side * net.scale, side * net.scale)
    restored = meta.to_empty(device="cpu")
    restored.load_state_dict(net.state_dict())
    assert torch.equal(restored(lr), sr)
    tally[COUNTER] += 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
@cases(60)
@given(data=st.data())
@torch.inference_mode()
def test_cuda_agrees_with_the_cpu(data: st.DataObject, tally: Counter[str]) -> None:
    spec = data.draw(st.sampled_from(network_specs()))
    net = small_network(spec, data.draw(st.sampled_from(spec.scales)))
    lr = data.draw(images(net, more=2))
    sr = net(lr)
    cuda = copy.deepcopy(net).to("cuda")
    assert float((cuda(lr.to("cuda")).cpu() - sr).abs().max()) <= 1e-9 * max(float(sr.std()), 1e-3)
    assert torch.equal(cuda.to("cpu")(lr), sr)
    tally[COUNTER] += 1

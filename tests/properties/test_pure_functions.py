"""A network is a function of its images: nothing else goes in, nothing else comes out, whatever the size."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.small_networks import MEMORY_LAYOUTS, images, small_network
from helpers.support import cases, relative_error
from srblocks.network import Network
from srblocks.registry import NetworkSpec

ROUNDING = 1e-9
"""Of float64, relative to the output's standard deviation, where sums are made in another order."""

TRIED = "cases of properties of networks"


@pytest.fixture
def net(spec: NetworkSpec, scale: int) -> Network:
    return small_network(spec, scale)


def everything(net: Network) -> dict[str, Tensor]:
    """Parameters and buffers, those outside the state dict as well."""
    return {name: tensor.detach().clone() for name, tensor in [*net.named_parameters(), *net.named_buffers()]}


@cases(2)
@given(data=st.data())
@torch.inference_mode()
def test_the_output_is_scale_times_any_legal_size(
    net: Network, scale: int, data: st.DataObject, tally: Counter[str]
) -> None:
    lr = data.draw(images(net, batches=(0, 3)))
    sr = net(lr)
    assert sr.shape == (*lr.shape[:2], scale * lr.shape[2], scale * lr.shape[3])
    assert sr.dtype == lr.dtype
    assert sr.isfinite().all()
    tally[TRIED] += 1


@cases(1)
@given(data=st.data())
def test_images_weights_and_random_numbers_are_only_read_and_the_output_is_always_the_same(
    net: Network, data: st.DataObject, tally: Counter[str]
) -> None:
    lr = data.draw(images(net))
    given_images, version, weights, random = lr.clone(), lr._version, everything(net), torch.random.get_rng_state()
    first, second = net(lr), net(lr)
    with torch.inference_mode():
        third = net(lr)
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    assert lr._version == version, "it was written, even if back to what it held"
    assert torch.equal(lr, given_images)
    assert first.untyped_storage().data_ptr() != lr.untyped_storage().data_ptr()
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in everything(net).items())
    tally[TRIED] += 1


@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_neither_the_layout_in_memory_nor_the_rest_of_the_batch_matters(
    net: Network, data: st.DataObject, tally: Counter[str]
) -> None:
    lr = data.draw(images(net, batches=(2, 3)))
    sr = net(lr)
    if not sr.std():
        return
    alone = data.draw(st.integers(0, len(lr) - 1))
    assert relative_error(net(lr[alone : alone + 1]), sr[alone : alone + 1]) < ROUNDING
    layout = data.draw(st.sampled_from(list(MEMORY_LAYOUTS)))
    assert relative_error(net(MEMORY_LAYOUTS[layout](lr)), sr) < ROUNDING, layout
    assert relative_error(net(lr[:1].expand(3, -1, -1, -1)), sr[:1].expand(3, -1, -1, -1)) < ROUNDING
    tally[TRIED] += 3


@cases(1)
@given(data=st.data())
@torch.no_grad()
def test_training_is_another_function_only_where_norms_have_statistics(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    net = small_network(spec, data.draw(st.sampled_from(spec.scales)))
    lr = data.draw(images(net, batches=(2, 3), more=2))
    before = everything(net)
    sr, trained = net(lr), net.train()(lr)
    changed = {name for name, tensor in everything(net).items() if not torch.equal(tensor, before[name])}
    if any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
        assert not torch.equal(trained, sr)
        assert changed == {name for name in before if "running" in name or "tracked" in name}
    else:
        assert torch.equal(trained, sr)
        assert not changed
    tally[TRIED] += 1


@cases(2)
@given(data=st.data())
def test_images_of_other_shapes_are_refused_in_one_line_before_any_layer_sees_them(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    net = small_network(spec, data.draw(st.sampled_from(spec.scales)))
    good = data.draw(images(net, batches=(1, 1)))
    wrong = [good[0], good[None], good.repeat(1, 2, 1, 1), good[:, :, :0]]
    wrong += [good[:, :, 1:]] if net.size_multiple > 1 else []
    wrong += [good[..., : net.min_size - 1]]
    lr = wrong[data.draw(st.integers(0, len(wrong) - 1))]
    for call in (lambda: net(lr), lambda: net(lr=lr)):
        with pytest.raises(ValueError, match=rf"{type(net).__name__}: expected images of shape \(N, ") as refused:
            call()
        assert "\n" not in str(refused.value)
    tally[TRIED] += 1

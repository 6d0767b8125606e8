"""Networks that were copied, written and read back, or built again from their configuration are the same networks."""

import copy
import io
import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.network_arguments import arguments
from helpers.small_networks import images, randomize, small_network
from helpers.support import cases
from srblocks import create_network, load_checkpoint, optimize, save_checkpoint
from srblocks.checkpoints import load_weights
from srblocks.network import Network
from srblocks.networks import network_name
from srblocks.registry import NetworkSpec

TRIED = "cases of properties of networks"


def through_json(net: Network, spec: NetworkSpec, folder: Path) -> Network:
    again = create_network(spec.name, **json.loads(json.dumps(net.config))).double()
    again.load_state_dict(net.state_dict())
    return again.train(net.training)


def through_torch(net: Network, spec: NetworkSpec, folder: Path) -> Network:
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    again = create_network(spec.name, **net.config).double()
    again.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    return again.train(net.training)


def through_a_checkpoint(net: Network, spec: NetworkSpec, folder: Path) -> Network:
    save_checkpoint(net, folder / "net.safetensors")
    return load_checkpoint(folder / "net.safetensors").train(net.training)


def into_another(net: Network, spec: NetworkSpec, folder: Path) -> Network:
    save_checkpoint(net, folder / "net.safetensors")
    again = create_network(spec.name, **net.config).double()
    load_weights(again, folder / "net.safetensors")
    return again.train(net.training)


WAYS: dict[str, Callable[[Network, NetworkSpec, Path], Network]] = {
    "deepcopy": lambda net, spec, folder: copy.deepcopy(net),
    "pickle": lambda net, spec, folder: pickle.loads(pickle.dumps(net)),
    "configuration": through_json,
    "state dict": through_torch,
    "checkpoint": through_a_checkpoint,
    "weights of a checkpoint": into_another,
}


@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_a_network_of_any_legal_arguments_is_the_same_after_every_round_trip(
    spec: NetworkSpec, data: st.DataObject, tmp_path: Path, tally: Counter[str]
) -> None:
    config = data.draw(arguments(spec))
    net = randomize(create_network(spec.name, **config))
    assert {name: net.config[name] for name in config} == config
    lr = data.draw(images(net, steps=2))
    sr = net(lr)
    assert sr.shape == (*lr.shape[:2], net.scale * lr.shape[2], net.scale * lr.shape[3])
    for way, there_and_back in WAYS.items():
        again = there_and_back(net, spec, tmp_path)
        assert (type(again), again.config, again.training) == (type(net), net.config, net.training), way
        state = again.state_dict()
        assert list(state) == list(net.state_dict()), way
        assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items()), way
        assert torch.equal(again(lr), sr), way
        assert {parameter.data_ptr() for parameter in net.parameters()}.isdisjoint(
            parameter.data_ptr() for parameter in again.parameters()
        ), way
        tally[TRIED] += 1


@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_what_optimize_makes_is_the_same_after_copies_and_is_not_saved(
    spec: NetworkSpec, data: st.DataObject, tmp_path: Path, tally: Counter[str]
) -> None:
    net = optimize(small_network(spec, min(spec.scales)))
    lr = data.draw(images(net, steps=2))
    for way in ("deepcopy", "pickle"):
        again = WAYS[way](net, spec, tmp_path)
        assert torch.equal(again(lr), net(lr))
        assert str(again.rewrites) == str(net.rewrites)
        tally[TRIED] += 1
    with pytest.raises(ValueError, match="an optimized network cannot be saved"):
        save_checkpoint(net, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


@cases(1)
@given(data=st.data())
def test_arguments_that_no_network_has_are_refused_in_one_line(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    config = data.draw(arguments(spec))
    for changed in spoilt(config, spec.arguments()):
        with pytest.raises((ValueError, TypeError)) as refused:
            create_network(spec.name, **changed)
        assert "\n" not in str(refused.value), changed
        tally["arguments refused"] += 1


def spoilt(config: dict[str, object], defaults: dict[str, object]) -> Iterator[dict[str, object]]:
    """The arguments with one of them made illegal, one after another."""
    for name, value in config.items():
        if isinstance(value, str):
            yield {**config, name: "unheard-of"}
        elif type(value) is int:
            yield {**config, name: -1}
        elif name == "value_range":
            yield from ({**config, name: bad} for bad in (0.0, -1.0, float("nan"), float("inf")))
        if type(value) in (bool, int, float, str) and defaults[name] is not None:
            yield {**config, name: [value]}
    yield {**config, "unheard_of": 1}
    yield {**config, "image_channels": 0}


def test_the_network_knows_the_name_of_its_row(spec: NetworkSpec) -> None:
    with torch.device("meta"):
        assert network_name(create_network(spec.name)) == spec.name

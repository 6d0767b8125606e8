"""Networks that were copied, saved and loaded, or rebuilt from their configuration compute the same."""

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
from helpers.small_networks import images, randomize
from helpers.support import cases
from srblocks import create_network, load_checkpoint, save_checkpoint
from srblocks.checkpoints import load_weights
from srblocks.network import Network
from srblocks.networks import network_name, network_specs
from srblocks.registry import NetworkSpec

COUNTER = "cases of properties of networks"


def rebuilt_from_config(net: Network, spec: NetworkSpec, folder: Path) -> Network:
    other = create_network(spec.name, **json.loads(json.dumps(net.config))).double()
    other.load_state_dict(net.state_dict())
    return other.train(net.training)


def reloaded_state_dict(net: Network, spec: NetworkSpec, folder: Path) -> Network:
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    other = create_network(spec.name, **net.config).double()
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    return other.train(net.training)


def loaded_checkpoint(net: Network, spec: NetworkSpec, folder: Path) -> Network:
    save_checkpoint(net, folder / "net.safetensors")
    return load_checkpoint(folder / "net.safetensors").train(net.training)


def loaded_weights(net: Network, spec: NetworkSpec, folder: Path) -> Network:
    save_checkpoint(net, folder / "net.safetensors")
    other = create_network(spec.name, **net.config).double()
    load_weights(other, folder / "net.safetensors")
    return other.train(net.training)


ROUND_TRIPS: dict[str, Callable[[Network, NetworkSpec, Path], Network]] = {
    "deepcopy": lambda net, spec, folder: copy.deepcopy(net),
    "pickle": lambda net, spec, folder: pickle.loads(pickle.dumps(net)),
    "configuration": rebuilt_from_config,
    "state dict": reloaded_state_dict,
    "checkpoint": loaded_checkpoint,
    "weights of a checkpoint": loaded_weights,
}


@pytest.mark.one_of_each_class
@cases(2)
@given(data=st.data())
@torch.inference_mode()
def test_networks_with_any_arguments_survive_every_round_trip(
    spec: NetworkSpec, data: st.DataObject, tmp_path: Path, tally: Counter[str]
) -> None:
    config = data.draw(arguments(spec))
    net = randomize(create_network(spec.name, **config))
    assert {name: net.config[name] for name in config} == config
    lr = data.draw(images(net, steps=2))
    sr = net(lr)
    assert sr.shape == (*lr.shape[:2], net.scale * lr.shape[2], net.scale * lr.shape[3])
    for name, round_trip in ROUND_TRIPS.items():
        other = round_trip(net, spec, tmp_path)
        assert (type(other), other.config, other.training) == (type(net), net.config, net.training), name
        state = other.state_dict()
        assert list(state) == list(net.state_dict()), name
        assert all(torch.equal(state[key], tensor) for key, tensor in net.state_dict().items()), name
        assert torch.equal(other(lr), sr), name
        assert {parameter.data_ptr() for parameter in net.parameters()}.isdisjoint(
            parameter.data_ptr() for parameter in other.parameters()
        ), name
        tally[COUNTER] += 1


@cases(1)
@given(data=st.data())
def test_invalid_arguments_raise_a_one_line_error(data: st.DataObject, tally: Counter[str]) -> None:
    for spec in network_specs():
        for config in invalid_configs(data.draw(arguments(spec)), spec.arguments()):
            with pytest.raises((ValueError, TypeError)) as error:
                create_network(spec.name, **config)
            assert "\n" not in str(error.value), (spec.name, config)
            tally["invalid arguments"] += 1


def invalid_configs(config: dict[str, object], defaults: dict[str, object]) -> Iterator[dict[str, object]]:
    """Yield the arguments with one of them replaced by an invalid value."""
    for name, value in config.items():
        if isinstance(value, str):
            yield {**config, name: "unknown"}
        elif type(value) is int:
            yield {**config, name: -1}
        elif name == "value_range":
            yield from ({**config, name: number} for number in (0.0, -1.0, float("nan"), float("inf")))
        if type(value) in (bool, int, float, str) and defaults[name] is not None:
            yield {**config, name: [value]}
    yield {**config, "unknown": 1}
    yield {**config, "image_channels": 0}


def test_network_name_returns_the_registered_name() -> None:
    rows = Counter(spec.constructor[0] for spec in network_specs())
    with torch.device("meta"):
        for spec in network_specs():
            config = spec.reduced if rows[spec.constructor[0]] == 1 else {}
            assert network_name(create_network(spec.name, **config)) == spec.name

"""Weights with the tensor names of srblocks, with and without a configuration."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from helpers.support import authors_state
from srblocks import Network, create_network, load_checkpoint, save_checkpoint
from srblocks.checkpoints import CheckpointError, MissingArgumentError, WrongScaleError, load_weights
from srblocks.networks import network_name
from srblocks.registry import NetworkSpec


def test_arguments_that_contradict_the_configuration_are_rejected(tmp_path: Path) -> None:
    save_checkpoint(create_network("espcn", scale=2), tmp_path / "ours.safetensors")
    assert load_checkpoint(tmp_path / "ours.safetensors", width=64).scale == 2
    with pytest.raises(CheckpointError, match=r"width=64 instead of 5; remove these arguments"):
        load_checkpoint(tmp_path / "ours.safetensors", width=5)
    with pytest.raises(TypeError, match=r"espcn has no argument color_space; its arguments are scale, image"):
        load_checkpoint(tmp_path / "ours.safetensors", color_space="y")
    with pytest.raises(WrongScaleError, match=r"weights of espcn for scale 2, not 3"):
        load_checkpoint(tmp_path / "ours.safetensors", scale=3)


@pytest.mark.one_of_each_class
def test_a_plain_state_dict_loads_when_the_network_is_named(spec: NetworkSpec, tmp_path: Path) -> None:
    net = create_network(spec.name, **spec.reduced)
    save_file(net.state_dict(), tmp_path / "plain.safetensors")
    again = load_checkpoint(tmp_path / "plain.safetensors", network=spec.name, scale=net.scale, **spec.reduced)
    assert network_name(again) == network_name(net)
    state = again.state_dict()
    served = net.at_scale(net.scale).state_dict()
    assert state.keys() == served.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in served.items())


def test_the_scale_of_a_plain_state_dict_follows_from_shapes(tmp_path: Path) -> None:
    save_file(create_network("espcn", scale=3).state_dict(), tmp_path / "espcn.safetensors")
    assert load_checkpoint(tmp_path / "espcn.safetensors", network="espcn").scale == 3
    with pytest.raises(WrongScaleError, match=r"weights of espcn for scale 3, not 2"):
        load_checkpoint(tmp_path / "espcn.safetensors", network="espcn", scale=2)
    save_file(create_network("lapsrn", scale=4).state_dict(), tmp_path / "lapsrn.safetensors")
    assert load_checkpoint(tmp_path / "lapsrn.safetensors", network="lapsrn").scale == 4
    assert load_checkpoint(tmp_path / "lapsrn.safetensors", network="lapsrn", scale=2).scale == 2


def test_a_plain_state_dict_of_another_size_requires_the_arguments(tmp_path: Path) -> None:
    save_file(create_network("edsr_baseline", width=8, depth=3).state_dict(), tmp_path / "edsr.safetensors")
    with pytest.raises(CheckpointError, match=r"tensors do not fit this EDSR .*built with other arguments, pass them"):
        load_checkpoint(tmp_path / "edsr.safetensors", network="edsr_baseline")
    assert load_checkpoint(tmp_path / "edsr.safetensors", network="edsr_baseline", width=8, depth=3).scale == 2


def test_an_ambiguous_scale_is_required(tmp_path: Path) -> None:
    save_file(create_network("fsrcnn", scale=3).state_dict(), tmp_path / "fsrcnn.safetensors")
    with pytest.raises(MissingArgumentError, match=r"do not reveal scale \(2, 3, 4\); pass it as an argument"):
        load_checkpoint(tmp_path / "fsrcnn.safetensors", network="fsrcnn")
    assert load_checkpoint(tmp_path / "fsrcnn.safetensors", network="fsrcnn", scale=3).scale == 3


def test_a_custom_class_loads_weights_with_its_names(tmp_path: Path) -> None:
    class Own(Network):
        def __init__(self) -> None:
            super().__init__(scale=1, image_channels=1)
            self.conv = nn.Conv2d(1, 1, 3)

    net, source = Own(), Own()
    save_file(source.state_dict(), tmp_path / "own.safetensors")
    load_weights(net, tmp_path / "own.safetensors")
    assert torch.equal(net.conv.weight, source.conv.weight)
    torch.save(authors_state("ESPCN Y x2"), tmp_path / "espcn.pth")
    with pytest.raises(CheckpointError, match=r"weights of espcn in the layout of yjn870, not of Own"):
        load_weights(net, tmp_path / "espcn.pth")


@pytest.mark.parametrize(
    "config,message",
    [
        ({"width": 10_000, "depth": 2}, r"tensors do not fit this EDSR"),
        (
            {"width": 64, "depth": 10**8},
            r"srblocks configuration \(depth=100000000 exceeds the limit of 10000\)",
        ),
        ({"weights": "other.safetensors"}, r"cannot build a network from its srblocks configuration \(.*'weights'"),
    ],
)
def test_a_hostile_configuration_costs_neither_memory_nor_time(
    config: dict[str, object], message: str, tmp_path: Path
) -> None:
    metadata = {"srblocks": json.dumps({"network": "edsr", "config": {"scale": 2, **config}})}
    save_file({"head.weight": torch.zeros(1)}, tmp_path / "huge.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "huge.safetensors")

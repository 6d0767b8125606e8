"""Weights with tensor names of srblocks, with and without a configuration."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from helpers.small_networks import narrow_arguments
from helpers.support import authors_state, one_spec_per_class
from srblocks import Network, create_network, load_checkpoint, save_checkpoint
from srblocks.checkpoints import CheckpointError, MissingArgumentError, WrongScaleError, load_weights
from srblocks.networks import network_name


def test_arguments_that_contradict_the_configuration_are_rejected(tmp_path: Path) -> None:
    save_checkpoint(create_network("espcn", scale=2), tmp_path / "ours.safetensors")
    assert load_checkpoint(tmp_path / "ours.safetensors", width=64).scale == 2
    with pytest.raises(CheckpointError, match=r"width=64 instead of 5; remove these arguments"):
        load_checkpoint(tmp_path / "ours.safetensors", width=5)
    with pytest.raises(TypeError, match=r"espcn has no argument color_space; its arguments are scale, image"):
        load_checkpoint(tmp_path / "ours.safetensors", color_space="y")
    with pytest.raises(WrongScaleError, match=r"weights of espcn for scale 2, not 3"):
        load_checkpoint(tmp_path / "ours.safetensors", scale=3)


def test_a_plain_state_dict_of_every_class_loads_by_name(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    for spec in one_spec_per_class():
        arguments = {**spec.reduced, **narrow_arguments(spec)}
        net = create_network(spec.name, **arguments)
        save_file(net.state_dict(), path)
        loaded = load_checkpoint(path, network=spec.name, scale=net.scale, **arguments)
        assert network_name(loaded) == network_name(net), spec.name
        state = loaded.state_dict()
        expected = net.at_scale(net.scale).state_dict()
        assert state.keys() == expected.keys(), spec.name
        assert all(torch.equal(state[name], tensor) for name, tensor in expected.items()), spec.name


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


def test_a_huge_configuration_is_rejected_before_it_is_built(tmp_path: Path) -> None:
    for config, message in (
        ({"width": 10_000, "depth": 2}, r"tensors do not fit this EDSR"),
        ({"width": 64, "depth": 10**8}, r"srblocks configuration \(depth=100000000 exceeds the limit of 10000\)"),
        ({"weights": "other.safetensors"}, r"cannot build a network from its srblocks configuration \(.*'weights'"),
    ):
        metadata = {"srblocks": json.dumps({"network": "edsr", "config": {"scale": 2, **config}})}
        save_file({"head.weight": torch.zeros(1)}, tmp_path / "huge.safetensors", metadata=metadata)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / "huge.safetensors")

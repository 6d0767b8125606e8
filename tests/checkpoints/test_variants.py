"""Every tensor of the authors' layouts finds its place in our networks."""

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from checkpoints.authors import filled
from checkpoints.authors_plain import fsrcnn_yjn870, ms_lapsrn_official
from checkpoints.authors_residual import edsr, san
from checkpoints.variants import GROUPS, Group
from srblocks import create_network, load_checkpoint
from srblocks.checkpoints import CheckpointError, MissingArgumentError, load_weights
from srblocks.network import Network
from srblocks.networks import network_name, network_spec


def save(state: dict[str, Tensor], folder: Path) -> Path:
    """Write the tensors in alphabetical order, which is never the order of execution."""
    torch.save(dict(sorted(state.items())), folder / "weights.pth")
    return folder / "weights.pth"


@torch.no_grad()
def executed(net: Network) -> dict[str, Tensor]:
    """Return the state dict in the order of first use, one scale after the other."""
    state = net.state_dict()
    used: dict[str, Tensor] = {}

    def record(prefix: str, module: nn.Module, _: Any) -> None:
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        used.update({f"{prefix}{name}": state[f"{prefix}{name}"] for name, _ in own if f"{prefix}{name}" in state})

    for scale in net.scales:
        single = net.at_scale(scale)
        for name, module in single.named_modules():
            module.register_forward_pre_hook(partial(record, f"{name}." if name else ""))
        single.intermediate_outputs(torch.rand(1, net.image_channels, 24, 24))
    assert used.keys() == state.keys()
    return used


def by_shape(state: dict[str, Tensor]) -> dict[tuple[int, ...], list[tuple[str, Tensor]]]:
    groups: dict[tuple[int, ...], list[tuple[str, Tensor]]] = defaultdict(list)
    for name, tensor in state.items():
        groups[tuple(tensor.shape)].append((name, tensor))
    return groups


@pytest.mark.parametrize("group", GROUPS)
def test_every_tensor_of_the_authors_layouts_is_placed(group: Group, tmp_path: Path) -> None:
    for variant in group():
        theirs = filled(variant.used, white=variant.white, mean=variant.mean)
        net = load_checkpoint(save({**theirs, **filled(variant.unused)}, tmp_path), **variant.given)
        assert network_name(net) == variant.network, variant.title
        assert net.scales == variant.scales, variant.title
        assert {name: net.config[name] for name in variant.config} == variant.config, variant.title
        ours = {name: tensor for name, tensor in executed(net).items() if not name.startswith(variant.constant)}
        theirs_by_shape, ours_by_shape = by_shape(theirs), by_shape(ours)
        assert {shape: len(tensors) for shape, tensors in ours_by_shape.items()} == {
            shape: len(tensors) for shape, tensors in theirs_by_shape.items()
        }, variant.title
        misplaced = [
            (their_name, our_name)
            for shape, tensors in theirs_by_shape.items()
            for (their_name, their_tensor), (our_name, our_tensor) in zip(tensors, ours_by_shape[shape], strict=True)
            if not torch.equal(their_tensor, our_tensor)
        ]
        assert misplaced == [], variant.title


@pytest.mark.parametrize("group", GROUPS)
def test_create_network_and_load_weights_read_the_authors_layouts(group: Group, tmp_path: Path) -> None:
    for variant in {network_spec(each.network).constructor[0]: each for each in group()}.values():
        state = filled(variant.used + variant.unused, white=variant.white, mean=variant.mean)
        net = load_checkpoint(save(state, tmp_path), **variant.given)
        created = create_network(variant.network, weights=tmp_path / "weights.pth", **variant.given)
        existing = type(net)(**net.config)
        load_weights(existing, tmp_path / "weights.pth")
        assert created.config == net.config, variant.title
        expected = net.state_dict()
        for state in (created.state_dict(), existing.state_dict()):
            assert [name for name, tensor in expected.items() if not torch.equal(state[name], tensor)] == []


def test_arguments_that_shapes_do_not_reveal_are_required(tmp_path: Path) -> None:
    for layout, name, value in (
        (fsrcnn_yjn870(56, 12, 4), "scale", 3),
        (ms_lapsrn_official(5, 64), "recursions", 5),
        (edsr(2, 128, 1), "res_scale", 0.1),
    ):
        path = save(filled(layout), tmp_path)
        with pytest.raises(MissingArgumentError, match=rf"do not reveal {name} .*; pass it as an argument"):
            load_checkpoint(path)
        assert load_checkpoint(path, **{name: value}).config[name] == value


def test_the_second_generation_of_san_is_rejected(tmp_path: Path) -> None:
    """Its tensors have the same names, but its forward pass differs."""
    path = save(filled(san(4, 2, 2, inter=16)), tmp_path)
    with pytest.raises(CheckpointError, match=r"non_local.*\(16, 64, 1, 1\), expected \(8, 64, 1, 1\)"):
        load_checkpoint(path)

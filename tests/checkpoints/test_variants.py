from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from checkpoints.authors import StateDictView, filled
from checkpoints.authors_plain import fsrcnn_yjn870, ms_lapsrn_official
from checkpoints.authors_residual import edsr, san
from checkpoints.variants import VARIANTS, Variant
from srblocks import create_network, load_checkpoint
from srblocks.checkpoints import CheckpointError, MissingArgumentError, load_weights
from srblocks.network import Network
from srblocks.networks import network_name


def stored(state: dict[str, Tensor], folder: Path) -> Path:
    """Write the tensors in alphabetical order, which is never the order of execution."""
    torch.save(dict(sorted(state.items())), folder / "weights.pth")
    return folder / "weights.pth"


@torch.no_grad()
def executed(net: Network) -> dict[str, Tensor]:
    """Return the state dict in the order of first use, one scale after the other."""
    state = net.state_dict()
    used: dict[str, Tensor] = {}

    def note(prefix: str, module: nn.Module, _: Any) -> None:
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        used.update({f"{prefix}{name}": state[f"{prefix}{name}"] for name, _ in own if f"{prefix}{name}" in state})

    for scale in net.scales:
        single = net.at_scale(scale)
        for name, module in single.named_modules():
            module.register_forward_pre_hook(partial(note, f"{name}." if name else ""))
        single.intermediate_outputs(torch.rand(1, net.image_channels, 12, 12))
    assert used.keys() == state.keys()
    return used


def by_shape(state: dict[str, Tensor]) -> dict[tuple[int, ...], list[tuple[str, Tensor]]]:
    found: dict[tuple[int, ...], list[tuple[str, Tensor]]] = defaultdict(list)
    for name, tensor in state.items():
        found[tuple(tensor.shape)].append((name, tensor))
    return found


ONE_OF_EACH = list({each.network: each for each in reversed(VARIANTS)}.values())
"""Variants of one network cannot fail independently in `create_network` and `load_weights`."""


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.title)
def test_a_file_in_the_authors_layout_matches_and_every_tensor_has_its_place(variant: Variant, tmp_path: Path) -> None:
    theirs = filled(variant.used, white=variant.white, mean=variant.mean)
    given: dict[str, Any] = {**variant.given}
    net = load_checkpoint(stored({**theirs, **filled(variant.unused)}, tmp_path), **given)
    assert network_name(net) == variant.network
    assert net.scales == variant.scales
    assert {name: net.config[name] for name in variant.config} == variant.config
    ours = {name: tensor for name, tensor in executed(net).items() if not name.startswith(variant.constant)}
    theirs_by_shape, ours_by_shape = by_shape(theirs), by_shape(ours)
    assert {shape: len(found) for shape, found in ours_by_shape.items()} == {
        shape: len(found) for shape, found in theirs_by_shape.items()
    }
    misplaced = [
        (their_name, our_name)
        for shape, found in theirs_by_shape.items()
        for (their_name, their_tensor), (our_name, our_tensor) in zip(found, ours_by_shape[shape], strict=True)
        if not torch.equal(their_tensor, our_tensor)
    ]
    assert misplaced == []
    if variant in ONE_OF_EACH:
        named = create_network(variant.network, weights=tmp_path / "weights.pth", **given)
        existing = type(net)(**net.config)
        load_weights(existing, tmp_path / "weights.pth")
        assert named.config == net.config
        expected = net.state_dict()
        for found in (named.state_dict(), existing.state_dict()):
            assert [name for name, tensor in expected.items() if not torch.equal(found[name], tensor)] == []


@pytest.mark.parametrize(
    "layout,name,value",
    [
        (fsrcnn_yjn870(56, 12, 4), "scale", 3),
        (ms_lapsrn_official(5, 64), "recursions", 5),
        (edsr(2, 128, 1), "res_scale", 0.1),
    ],
)
def test_arguments_that_shapes_do_not_reveal_are_required(
    layout: StateDictView, name: str, value: float, tmp_path: Path
) -> None:
    path = stored(filled(layout), tmp_path)
    given: dict[str, Any] = {name: value}
    with pytest.raises(MissingArgumentError, match=rf"do not reveal {name} .*; pass it as an argument"):
        load_checkpoint(path)
    assert load_checkpoint(path, **given).config[name] == value


def test_the_second_generation_of_san_is_rejected_because_its_forward_pass_differs(tmp_path: Path) -> None:
    path = stored(filled(san(4, 2, 2, inter=16)), tmp_path)
    with pytest.raises(CheckpointError, match=r"non_local.*\(16, 64, 1, 1\), expected \(8, 64, 1, 1\)"):
        load_checkpoint(path)

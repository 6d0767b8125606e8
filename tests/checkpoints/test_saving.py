"""Files written by `save_checkpoint`."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from helpers.small_networks import narrow_arguments
from helpers.support import one_spec_per_class
from srblocks import (
    OnLuma,
    PixelShuffleUp,
    PostUpsampling,
    conv,
    create_network,
    load_checkpoint,
    registry,
    save_checkpoint,
    to_precision,
)
from srblocks.checkpoints import CheckpointError, MissingArgumentError, load_weights
from srblocks.network import Network
from srblocks.registry import NetworkSpec, SizeRequirements


class Tied(PostUpsampling):
    """Uses one module twice, and has two halves of one tensor."""

    def __init__(self, *, scale: int = 2, width: int = 4) -> None:
        shared = conv(width, width)
        super().__init__(
            scale=scale,
            image_channels=1,
            head=conv(1, width),
            body=nn.Sequential(shared, nn.ReLU(), shared),
            upsampler=PixelShuffleUp(width, scale),
            tail=conv(width, 1),
        )
        halves = torch.rand(2, 3)
        self.register_buffer("first", halves[0])
        self.register_buffer("second", halves[1])


@pytest.fixture
def net() -> Network:
    return create_network("fsrcnn", scale=3).eval()


def test_every_class_loads_bit_equal_with_its_configuration(tmp_path: Path) -> None:
    for spec in one_spec_per_class():
        net = create_network(spec.name, **{**spec.reduced, **narrow_arguments(spec)})
        save_checkpoint(net, tmp_path / "net.safetensors")
        loaded = load_checkpoint(tmp_path / "net.safetensors")
        assert type(loaded) is type(net), spec.name
        assert loaded.config == net.config, spec.name
        assert not loaded.training, spec.name
        state = loaded.state_dict()
        assert state.keys() == net.state_dict().keys(), spec.name
        assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items()), spec.name


def test_a_float64_network_loads_bit_equal(net: Network, tmp_path: Path) -> None:
    for tensor in net.double().parameters():
        tensor.data += 1e-12
    save_checkpoint(net, tmp_path / "net.safetensors")
    again = load_checkpoint(tmp_path / "net.safetensors").state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in net.state_dict().items())


def test_a_record_is_stored_in_the_metadata(net: Network, tmp_path: Path) -> None:
    save_checkpoint(net, tmp_path / "net.safetensors", record={"training": {"steps": 7}})
    with safe_open(tmp_path / "net.safetensors", framework="pt") as file:
        metadata = json.loads(file.metadata()["srblocks"])
    assert metadata["training"] == {"steps": 7}
    assert metadata["network"] == "fsrcnn"


def test_the_configuration_can_be_stored_as_a_tensor(net: Network, tmp_path: Path) -> None:
    save_checkpoint(net, tmp_path / "net.safetensors", as_tensor=True)
    tensors = load_file(tmp_path / "net.safetensors")
    assert tensors.keys() - net.state_dict().keys() == {"srblocks.config"}
    torch.save(tensors, tmp_path / "net.pth")
    other = create_network("fsrcnn", scale=3)
    for name in ("net.safetensors", "net.pth"):
        again = load_checkpoint(tmp_path / name)
        assert (type(again), again.config) == (type(net), net.config)
        load_weights(other, tmp_path / name)
        for loaded in (again, other):
            assert all(torch.equal(loaded.state_dict()[key], tensor) for key, tensor in net.state_dict().items())


def test_an_invalid_configuration_tensor_is_rejected(net: Network, tmp_path: Path) -> None:
    for tensor in (
        torch.ones(2),
        torch.zeros(2**20 + 1, dtype=torch.uint8),  # too long
        torch.tensor([200, 3], dtype=torch.uint8),  # not UTF-8
    ):
        torch.save({**net.state_dict(), "srblocks.config": tensor}, tmp_path / "net.pth")
        with pytest.raises(CheckpointError, match=r"net.pth: unreadable srblocks configuration"):
            load_checkpoint(tmp_path / "net.pth")


def test_tensors_that_do_not_fit_are_reported_and_nothing_is_loaded(net: Network, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for change, message in (
        (lambda state: state.pop("head.0.bias"), r"tensors do not fit this FSRCNN \(1 missing, first head.0.bias\)"),
        (lambda state: state.update(extra=torch.ones(1)), r"\(1 unexpected, first extra\)"),
        (
            lambda state: state.update({"head.0.bias": torch.ones(3)}),
            r"\(1 of another shape, first head.0.bias has shape \(3,\), expected \(56,\)\)",
        ),
        (
            lambda state: state["head.0.bias"].fill_(float("inf")),
            r"1 tensors contain NaN or infinity, first head.0.bias",
        ),
    ):
        state = {name: tensor.clone() for name, tensor in before.items()}
        state["body.0.bias"] += 1
        change(state)
        save_file(state, tmp_path / "bad.safetensors")
        with pytest.raises(CheckpointError, match=message):
            load_weights(net, tmp_path / "bad.safetensors")
        assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items()), message


def test_a_missing_or_invalid_configuration_is_rejected(net: Network, tmp_path: Path) -> None:
    save_file(net.state_dict(), tmp_path / "bare.safetensors")
    with pytest.raises(MissingArgumentError, match=r"do not reveal scale \(2, 3, 4\)"):
        load_checkpoint(tmp_path / "bare.safetensors")
    assert load_checkpoint(tmp_path / "bare.safetensors", scale=net.scale).config == net.config
    foreign = [("unheard_of", {}), ("fsrcnn", {"color": 3}), ("fsrcnn", {"scale": 0}), ("edsr", {"scale": 2.5})]
    for network, config in [*foreign, (5, {}), ("fsrcnn", {"width": -3}), ("fsrcnn", 3)]:
        metadata = {"srblocks": json.dumps({"network": network, "config": config})}
        save_file(net.state_dict(), tmp_path / "foreign.safetensors", metadata=metadata)
        with pytest.raises(CheckpointError, match="cannot build a network from its srblocks configuration"):
            load_checkpoint(tmp_path / "foreign.safetensors")


def test_shared_weights_stay_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = NetworkSpec(name="tied", build=Tied, paper="nobody", size_requirements={2: SizeRequirements(radius=4)})
    monkeypatch.setattr(registry, "_specs", {**registry._specs})
    registry.register(row)
    net = create_network("tied", width=6)
    for as_tensor in (False, True):
        save_checkpoint(net, tmp_path / "tied.safetensors", as_tensor=as_tensor)
        again = load_checkpoint(tmp_path / "tied.safetensors")
        assert (type(again), again.config) == (Tied, net.config)
        assert again.body[0] is again.body[2]
        state = again.state_dict()
        assert state.keys() == net.state_dict().keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items())
    net.body[0].weight.data += 1
    assert torch.equal(net.body[2].weight, net.body[0].weight)


def test_a_failed_save_leaves_the_old_file(net: Network, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_checkpoint(net, path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_checkpoint(net, path, record={"not json": object()})
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["net.safetensors"]


def test_an_unregistered_class_is_not_saved(tmp_path: Path) -> None:
    class Own(Network):
        pass

    with pytest.raises(ValueError, match="Own is not a registered network"):
        save_checkpoint(Own(scale=2, image_channels=3), tmp_path / "own.safetensors")


def test_networks_that_could_not_be_loaded_are_not_saved(net: Network, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_checkpoint(net, path)
    before = path.read_bytes()
    with torch.no_grad():
        net.head[0].weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(CheckpointError, match="1 tensors contain NaN or infinity, first head.0.weight"):
        save_checkpoint(net, path)
    net.head[0] = conv(1, 56, 3)
    with pytest.raises(CheckpointError, match=r"first head.0.weight has .*modules were changed after construction"):
        save_checkpoint(net, path)
    for wrapper in (OnLuma(create_network("fsrcnn")), to_precision(create_network("fsrcnn"), "bf16")):
        with pytest.raises(ValueError, match="wraps another network; save its attribute net"):
            save_checkpoint(wrapper, path)
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        save_checkpoint(create_network("fsrcnn"), tmp_path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "wrapped,attribute", [(nn.DataParallel, "module"), (lambda net: torch.compile(net, backend="eager"), "_orig_mod")]
)
def test_the_error_for_a_wrapped_network_names_the_attribute(wrapped, attribute: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=rf"save_checkpoint: .* pass net.{attribute}"):
        save_checkpoint(wrapped(create_network("fsrcnn", depth=1)), tmp_path / "net.safetensors")

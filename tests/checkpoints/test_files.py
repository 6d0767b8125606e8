"""File formats, training checkpoints and name prefixes."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from helpers.support import filled_by_name
from srblocks import OnLuma, create_network, load_checkpoint, save_checkpoint
from srblocks.checkpoints import CheckpointError, load_weights

State = dict[str, Tensor]
ESPCN = [
    ("first_part.0.weight", [6, 1, 5, 5], "matrix"),
    ("first_part.0.bias", [6], "bias"),
    ("first_part.2.weight", [3, 6, 3, 3], "matrix"),
    ("first_part.2.bias", [3], "bias"),
    ("last_part.0.weight", [9, 3, 3, 3], "matrix"),
    ("last_part.0.bias", [9], "bias"),
]


@pytest.fixture
def state() -> State:
    return {name: tensor.float() for name, tensor in filled_by_name(ESPCN).items()}


def assert_loads(path: Path, state: State) -> None:
    net = load_checkpoint(path)
    assert (type(net).__name__, net.scale, net.training) == ("ESPCN", 3, False)
    assert torch.equal(net.state_dict()["upsampler.0.weight"], state["last_part.0.weight"])


WRAPPERS = ("model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net")


def test_the_state_dict_is_taken_out_of_a_training_checkpoint(state: State, tmp_path: Path) -> None:
    for number, wrapper in enumerate(WRAPPERS, start=1):
        others = {name: {"other": torch.ones(1)} for name in WRAPPERS[number:]}
        torch.save({"epoch": 7, **others, wrapper: state, "optimizer": {}}, tmp_path / f"{wrapper}.pth")
        assert_loads(tmp_path / f"{wrapper}.pth", state)


def test_wrappers_may_be_nested_or_have_any_name(state: State, tmp_path: Path) -> None:
    torch.save({"state_dict": {"net": state}}, tmp_path / "nested.pth")
    torch.save({"espcn": state}, tmp_path / "alone.pth")
    assert_loads(tmp_path / "nested.pth", state)
    assert_loads(tmp_path / "alone.pth", state)


def test_common_prefixes_are_removed(state: State, tmp_path: Path) -> None:
    for prefix in ("module.", "netG.", "generator.", "module.generator.", "_orig_mod.module.", "model.net_g."):
        prefixed = {prefix + name: tensor for name, tensor in state.items()}
        torch.save(prefixed, tmp_path / f"{prefix}pth")
        assert_loads(tmp_path / f"{prefix}pth", state)
        save_file(prefixed, tmp_path / f"{prefix}safetensors")
        assert_loads(tmp_path / f"{prefix}safetensors", state)


def test_a_prefix_of_some_names_is_kept(state: State, tmp_path: Path) -> None:
    names = ["module." * (number == 0) + name for number, name in enumerate(state)]
    torch.save(dict(zip(names, state.values(), strict=True)), tmp_path / "mixed.pth")
    with pytest.raises(CheckpointError, match=r"closest is espcn in the layout of yjn870, but first_part.0.weight is"):
        load_checkpoint(tmp_path / "mixed.pth")


def test_the_content_determines_the_format(state: State, tmp_path: Path) -> None:
    for suffix in ("pth", "data"):
        torch.save(state, tmp_path / f"torch.{suffix}")
        torch.save(state, tmp_path / f"old.{suffix}", _use_new_zipfile_serialization=False)
        save_file(state, tmp_path / f"safe.{suffix}")
        for kind in ("torch", "old", "safe"):
            assert_loads(tmp_path / f"{kind}.{suffix}", state)


def test_weights_load_into_an_existing_network(tmp_path: Path) -> None:
    net = create_network("fsrcnn", scale=3).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    torch.save(net.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("net.pth", "old.pth"):
        other = create_network("fsrcnn", scale=3)
        load_weights(other, tmp_path / name)
        lr = torch.rand(1, 1, 6, 7)
        assert torch.equal(other.eval()(lr), net(lr))


def test_third_party_weights_load_into_an_existing_network(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pth")
    net = create_network("espcn", scale=3, width=6)
    load_weights(net, tmp_path / "weights.pth")
    assert torch.equal(net.state_dict()["upsampler.0.weight"], state["last_part.0.weight"])
    with pytest.raises(CheckpointError, match=r"weights of a network with .*scale=3 instead of 2"):
        load_weights(create_network("espcn", scale=2, width=6), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"weights of espcn in the layout of yjn870, not of FSRCNN"):
        load_weights(create_network("fsrcnn", scale=3), tmp_path / "weights.pth")


def test_srblocks_names_may_have_a_prefix(tmp_path: Path) -> None:
    saved = create_network("srcnn", scale=2)
    for prefix in ("", "module.", "_orig_mod.netG."):
        torch.save({prefix + name: tensor for name, tensor in saved.state_dict().items()}, tmp_path / "srcnn.pth")
        net = create_network("srcnn", scale=2)
        load_weights(net, tmp_path / "srcnn.pth")
        named = load_checkpoint(tmp_path / "srcnn.pth", network="srcnn", scale=2)
        for loaded in (net, named):
            assert torch.equal(loaded.state_dict()["tail.weight"], saved.state_dict()["tail.weight"]), prefix


def test_defaults_of_a_layout_must_be_those_of_the_network(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pth")
    net = create_network("espcn", scale=3, width=6, act="relu")
    with pytest.raises(CheckpointError, match=r"act='tanh' instead of 'relu'; use load_checkpoint"):
        load_weights(net, tmp_path / "weights.pth")
    load_weights(net, tmp_path / "weights.pth", same_config=False)
    assert torch.equal(net.state_dict()["upsampler.0.weight"], state["last_part.0.weight"])


def test_pre_upsampling_weights_fit_any_scale(tmp_path: Path) -> None:
    saved = create_network("srcnn", scale=4)
    save_checkpoint(saved, tmp_path / "srcnn.safetensors")
    assert load_checkpoint(tmp_path / "srcnn.safetensors").scale == 4
    assert load_checkpoint(tmp_path / "srcnn.safetensors", scale=3).scale == 3
    other = create_network("srcnn", scale=2)
    load_weights(other, tmp_path / "srcnn.safetensors")
    assert torch.equal(other.state_dict()["tail.weight"], saved.state_dict()["tail.weight"])


def test_weights_load_into_the_network_of_a_color_wrapper(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pth")
    wrapped = OnLuma(create_network("espcn", scale=3, width=6))
    load_weights(wrapped, tmp_path / "weights.pth")
    torch.save(wrapped.state_dict(), tmp_path / "wrapped.pth")
    again = load_checkpoint(tmp_path / "wrapped.pth", network="espcn", scale=3, width=6)
    assert torch.equal(again.state_dict()["upsampler.0.weight"], state["last_part.0.weight"])


def test_loading_preserves_the_random_state(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pth")
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    load_checkpoint(tmp_path / "weights.pth")
    assert torch.equal(torch.rand(4), expected)


def test_the_default_precision_of_torch_does_not_matter(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pth")
    torch.set_default_dtype(torch.float64)
    try:
        net = load_checkpoint(tmp_path / "weights.pth")
    finally:
        torch.set_default_dtype(torch.float32)
    assert {tensor.dtype for tensor in net.parameters()} == {torch.float32}


def test_batch_counters_may_have_any_dtype(tmp_path: Path) -> None:
    state = {name: tensor.half() for name, tensor in create_network("srresnet", width=4, depth=1).state_dict().items()}
    for dtype in (torch.int32, torch.float16, torch.float64):
        counters = {name: tensor.to(dtype) + 7 for name, tensor in state.items() if name.endswith("tracked")}
        torch.save(state | counters, tmp_path / "half.pth")
        net = load_checkpoint(tmp_path / "half.pth", network="srresnet", width=4, depth=1)
        assert int(net.state_dict()["body.0.norm1.num_batches_tracked"]) == 7, dtype


def test_half_precision_weights_load_as_float32(state: State, tmp_path: Path) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        torch.save({name: tensor.to(dtype) for name, tensor in state.items()}, tmp_path / "half.pth")
        loaded = load_checkpoint(tmp_path / "half.pth").state_dict()["head.0.weight"]
        assert loaded.dtype == torch.float32
        assert torch.equal(loaded, state["first_part.0.weight"].to(dtype).float())


def test_float64_weights_load_as_float64(tmp_path: Path) -> None:
    state = filled_by_name(ESPCN)
    torch.save(state, tmp_path / "double.pth")
    loaded = load_checkpoint(tmp_path / "double.pth").state_dict()["head.0.weight"]
    assert torch.equal(loaded, state["first_part.0.weight"])

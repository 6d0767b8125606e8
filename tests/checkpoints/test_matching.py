"""Matching files with networks: contradictions, missing arguments, unknown and damaged layouts."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers.support import authors_state, cases, facts
from srblocks import create_network, load_checkpoint
from srblocks.checkpoints import CheckpointError, MissingArgumentError, UnknownLayoutError, WrongScaleError, matching
from srblocks.checkpoints.layout import StateDictView
from srblocks.checkpoints.layouts import LAYOUTS
from srblocks.networks import list_networks, network_name

RECORDED = facts("layouts.json")


@pytest.fixture
def espcn(tmp_path: Path) -> Path:
    torch.save(authors_state("ESPCN Y x2"), tmp_path / "espcn.pth")
    return tmp_path / "espcn.pth"


def test_every_layout_has_a_registered_network_and_its_own_source() -> None:
    sources = [(layout.network, layout.source) for layout in LAYOUTS]
    assert len(set(sources)) == len(sources)
    assert {layout.network for layout in LAYOUTS} <= set(list_networks())


def test_arguments_that_contradict_the_file_are_rejected(espcn: Path) -> None:
    assert load_checkpoint(espcn, width=64, network="espcn", scale=2).scale == 2
    with pytest.raises(CheckpointError, match=r"espcn.pth: tensor shapes show width=64, not width=5; remove width"):
        load_checkpoint(espcn, width=5)
    with pytest.raises(WrongScaleError, match=r"espcn.pth: weights of espcn for scale 2, not 3"):
        load_checkpoint(espcn, scale=3)
    with pytest.raises(CheckpointError, match=r"espcn.pth: weights of espcn in the layout of yjn870, not of FSRCNN"):
        load_checkpoint(espcn, network="fsrcnn")
    for unknown in ("color_space", "weights", "path_"):
        with pytest.raises(TypeError, match=unknown):
            load_checkpoint(espcn, **{unknown: "y"})
    with pytest.raises(CheckpointError, match=r"tensor shapes show image_channels=1, not image_channels=3"):
        create_network("espcn", weights=espcn, image_channels=3)


def test_invalid_scales_are_rejected(espcn: Path) -> None:
    for scale in (0, -2, 2.0, "2", True, 10**30):
        with pytest.raises(WrongScaleError, match=r"scale must be an integer from 1 to 64, got"):
            load_checkpoint(espcn, scale=scale)


def test_ambiguous_layouts_are_rejected(monkeypatch: pytest.MonkeyPatch, espcn: Path) -> None:
    twins = [*LAYOUTS, *(replace(each, source="another") for each in LAYOUTS if each.source == "yjn870")]
    monkeypatch.setattr(matching, "LAYOUTS", twins)
    message = (
        r"ambiguous tensor names, matching espcn in the layout of yjn870 or espcn in the layout of another; pass the"
    )
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(espcn)


def test_an_empty_kernel_is_rejected(tmp_path: Path) -> None:
    state = authors_state("ESPCN Y x2") | {"first_part.0.weight": torch.zeros(64, 0, 5, 5)}
    torch.save(state, tmp_path / "empty.pth")
    with pytest.raises(CheckpointError, match=r"but first_part.0.weight has shape \(64, 0, 5, 5\)"):
        load_checkpoint(tmp_path / "empty.pth")


def test_a_nan_counter_is_rejected(tmp_path: Path) -> None:
    state = authors_state("SRResNet paper x2 (no output clamp)")
    state |= {name: torch.tensor(math.nan) for name in state if name.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "srresnet.pth")
    with pytest.raises(CheckpointError, match=r"contain NaN or infinity, first body.0.norm1.num_batches_tracked"):
        load_checkpoint(tmp_path / "srresnet.pth")


def test_a_huge_index_builds_nothing(tmp_path: Path) -> None:
    state = {"conv_input.weight": torch.zeros(4, 1, 3, 3), "convt_R1.weight": torch.zeros(1, 4, 3, 3)}
    torch.save(state | {"convt_F1.0.cov_block.999998.weight": torch.zeros(4, 4, 4, 4)}, tmp_path / "far.pth")
    with pytest.raises(CheckpointError, match=r"the closest is lapsrn in the layout of twtygqyy"):
        load_checkpoint(tmp_path / "far.pth")


def test_defaults_of_a_layout_can_be_overridden(espcn: Path) -> None:
    assert load_checkpoint(espcn).config["act"] == "tanh"
    assert load_checkpoint(espcn, act="relu").config["act"] == "relu"


def test_a_wrong_variant_is_rejected(tmp_path: Path) -> None:
    torch.save(authors_state("RDN D20C6G32 x2"), tmp_path / "rdn.pth")
    assert network_name(load_checkpoint(tmp_path / "rdn.pth", network="rdn_a")) == "rdn_a"
    with pytest.raises(CheckpointError, match=r"weights of rdn_a, not of rdn|depth=20 instead of 16"):
        load_checkpoint(tmp_path / "rdn.pth", network="rdn")


def test_value_range_follows_from_the_mean_shift_or_is_required(tmp_path: Path) -> None:
    state = authors_state("EDSR baseline x2")
    torch.save(state, tmp_path / "edsr.pth")
    assert load_checkpoint(tmp_path / "edsr.pth").config["value_range"] == 255
    bare = {name: tensor for name, tensor in state.items() if "_mean" not in name}
    torch.save(bare, tmp_path / "bare.pth")
    with pytest.raises(
        MissingArgumentError, match=r"edsr_baseline in the layout of EDSR-PyTorch.* value_range \(255 or 1\); pass it"
    ):
        load_checkpoint(tmp_path / "bare.pth")
    assert load_checkpoint(tmp_path / "bare.pth", value_range=1.0).config["mean_shift"] is False


def test_errors_list_the_arguments_that_solve_them(espcn: Path, tmp_path: Path) -> None:
    """Commands print them as flags."""
    bare = {name: tensor for name, tensor in authors_state("EDSR baseline x2").items() if "_mean" not in name}
    torch.save(bare, tmp_path / "bare.pth")
    torch.save({"weight": torch.ones(1)}, tmp_path / "other.pth")
    for path, passed, kind, code, arguments in (
        (tmp_path / "bare.pth", {}, MissingArgumentError, 2, {"value_range": "255 or 1"}),
        (espcn, {"scale": 3}, WrongScaleError, 2, {"scale": "2"}),
        (espcn, {"width": 5}, CheckpointError, 9, {"width": "64"}),
        (tmp_path / "other.pth", {}, UnknownLayoutError, 9, {"network": "a name of list_networks()"}),
    ):
        with pytest.raises(kind) as caught:
            load_checkpoint(path, **passed)
        assert (caught.value.exit_code, caught.value.arguments) == (code, arguments)
        assert str(caught.value) == f"{caught.value.cause}; {caught.value.remedy}"


def test_multi_scale_weights_load_at_each_scale(tmp_path: Path) -> None:
    torch.save(authors_state("CARN-M g4 multi_scale run at x2"), tmp_path / "carn_m.pth")
    assert load_checkpoint(tmp_path / "carn_m.pth").scales == (2, 3, 4)
    for scale in (2, 3, 4):
        assert load_checkpoint(tmp_path / "carn_m.pth", scale=scale).scales == (scale,)
    with pytest.raises(WrongScaleError, match=r"weights of carn_m for scale 2 or 3 or 4, not 8"):
        load_checkpoint(tmp_path / "carn_m.pth", scale=8)


def test_a_network_is_created_with_third_party_weights(espcn: Path) -> None:
    net = create_network("espcn", weights=espcn)
    assert (net.scale, net.training) == (2, True)
    assert torch.equal(net.state_dict()["head.0.bias"], authors_state("ESPCN Y x2")["first_part.0.bias"])
    with pytest.raises(CheckpointError, match="not of FSRCNN"):
        create_network("fsrcnn", weights=espcn)


def test_a_missing_tensor_is_reported_with_the_closest_layout(tmp_path: Path) -> None:
    for name, message in (
        ("last_part.0.weight", r"the closest is espcn in the layout of yjn870, but last_part.0.weight is missing"),
        (
            "last_part.0.bias",
            r"\(1 missing, first upsampler.0.bias\); the tensor names are those of espcn in the layout of",
        ),
    ):
        state = authors_state("ESPCN Y x2")
        del state[name]
        torch.save(state, tmp_path / "espcn.pth")
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / "espcn.pth")


def test_an_unknown_tensor_is_reported_with_the_closest_layout(tmp_path: Path) -> None:
    torch.save(authors_state("EDSR baseline x2") | {"body.0.gate": torch.ones(1)}, tmp_path / "edsr.pth")
    with pytest.raises(
        CheckpointError,
        match=r"match no known layout \(\d+ tensors: sub_mean.weight, sub_mean.bias, add_mean.weight, ...\); "
        r"the closest is edsr_baseline in the layout of EDSR-PyTorch, but 1 tensors are unknown there, first body",
    ):
        load_checkpoint(tmp_path / "edsr.pth")


def test_an_unrelated_file_has_no_closest_layout(tmp_path: Path) -> None:
    torch.save(nn.TransformerEncoderLayer(8, 2).state_dict(), tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"match no known layout \(12 tensors: self_attn.*\)") as caught:
        load_checkpoint(tmp_path / "other.pth")
    assert "closest" not in str(caught.value)


def test_nan_and_infinity_are_rejected(tmp_path: Path) -> None:
    state = authors_state("ESPCN Y x2")
    for value in (math.nan, math.inf):
        state["last_part.0.bias"][1] = value
        torch.save(state, tmp_path / "espcn.pth")
        with pytest.raises(CheckpointError, match=r"1 tensors contain NaN or infinity, first upsampler.0.bias"):
            load_checkpoint(tmp_path / "espcn.pth")


def test_expanded_tensors_are_rejected(tmp_path: Path) -> None:
    state = authors_state("EDSR baseline x2")
    state["head.0.weight"] = torch.zeros(1).expand(10**6, 3, 3, 3)
    torch.save(state, tmp_path / "expanded.pth")
    with pytest.raises(CheckpointError, match=r"head.0.weight with shape \(1000000, 3, 3, 3\) is an expanded view"):
        load_checkpoint(tmp_path / "expanded.pth")


SMALL = [row for row in RECORDED if sum(math.prod(shape) for _, shape, _ in RECORDED[row]["tensors"]) < 500_000]
CHANGES = st.tuples(st.integers(0, 500), st.sampled_from(["drop", "shape", "rename"]), st.integers(0, 10**7))


@cases(40)
@given(row=st.sampled_from(SMALL), changes=st.lists(CHANGES, min_size=1, max_size=4))
def test_a_damaged_layout_loads_or_is_rejected(row: str, changes: list[tuple[int, str, int]], tmp_path: Path) -> None:
    tensors = {name: torch.zeros(shape) for name, shape, _ in RECORDED[row]["tensors"]}
    for position, change, number in changes:
        name = list(tensors)[position % len(tensors)]
        old = tensors.pop(name)
        if change == "shape":
            shape = [number % 5 if number % 3 else size for size in old.shape] + [1] * (number % 2)
            tensors[name] = torch.zeros(shape)
        elif change == "rename":
            tensors[name.replace("1", str(number), 1)] = old
    torch.save(tensors, tmp_path / "damaged.pth")
    try:
        load_checkpoint(tmp_path / "damaged.pth", scale=2)
    except CheckpointError as error:
        assert "damaged.pth" in str(error)


def test_a_huge_index_is_counted_fast() -> None:
    layout = StateDictView({"body.999999.weight": torch.zeros(1), "body.0.weight": torch.zeros(1)})
    assert layout.count("body.{}.weight") == 1
    assert layout.indices("body.{}.weight") == [0, 999999]


def test_vdsr_of_torchsr_has_the_same_output(tmp_path: Path) -> None:
    theirs = pytest.importorskip("torchsr.models.vdsr").VDSR(6, 8, scale=1, pretrained=False).eval()
    torch.save(theirs.state_dict(), tmp_path / "vdsr.pth")
    net, lr = load_checkpoint(tmp_path / "vdsr.pth"), torch.rand(2, 3, 9, 10)
    assert (net.scale, net.config["value_range"], net.config["depth"]) == (1, 1.0, 6)
    with torch.no_grad():
        torch.testing.assert_close(net(lr), theirs(lr), rtol=1e-5, atol=1e-6)


def test_a_chain_without_a_mean_shift_does_not_match_vdsr_of_torchsr(tmp_path: Path) -> None:
    chain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3))
    torch.save({f"body.{name}": tensor for name, tensor in chain.state_dict().items()}, tmp_path / "compact.pth")
    with pytest.raises(MissingArgumentError, match=r"compact in the layout of BasicSR; .* do not reveal act "):
        load_checkpoint(tmp_path / "compact.pth")

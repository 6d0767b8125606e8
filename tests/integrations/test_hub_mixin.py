"""Classes of one's own as repositories of the Hugging Face hub."""

from pathlib import Path

import pytest
from torch import nn

from helpers.support import filled
from integrations.hub_networks import Assembled, First, same_tensors, small
from srblocks import EDSR, PixelShuffleUp, PostUpsampling, conv, optimize
from srblocks.checkpoints import CheckpointError
from srblocks.integrations.hub import HubMixin, from_pretrained, save_pretrained


class Second(EDSR, HubMixin):
    pass


class Tied(HubMixin, PostUpsampling):
    """The same module twice."""

    def __init__(self, *, width: int = 6) -> None:
        again = conv(width, width)
        super().__init__(
            scale=2,
            image_channels=3,
            head=conv(3, width),
            body=nn.Sequential(again, nn.ReLU(), again),
            upsampler=PixelShuffleUp(width, 2),
            tail=conv(width, 3),
        )


class Slots(HubMixin, PostUpsampling):
    """Its arguments are modules."""


@pytest.mark.parametrize("mixed", [First, Second])
def test_the_mixin_goes_with_a_class_of_ones_own(mixed: type[HubMixin], tmp_path: Path) -> None:
    net = filled(mixed(scale=3, depth=2, width=8, res_scale=0.1))
    net.save_pretrained(tmp_path / "net", license="mit")
    found = mixed.from_pretrained(tmp_path / "net")
    assert (type(found), found.config, found.training) == (mixed, net.config, False)
    assert found.config["res_scale"] == 0.1
    assert same_tensors(found, net)
    assert f'net = {mixed.__name__}.from_pretrained("net")' in (tmp_path / "net" / "README.md").read_text()
    with pytest.raises(
        CheckpointError, match=f"{mixed.__name__} is not a registered .* use {mixed.__name__}.from_pretrained"
    ):
        from_pretrained(tmp_path / "net")


def test_weights_that_are_shared_come_back(tmp_path: Path) -> None:
    net = Tied(width=5)
    before = net.body[0].weight.data_ptr()
    net.save_pretrained(tmp_path)
    found = Tied.from_pretrained(tmp_path)
    assert same_tensors(found, net)
    assert found.body[0] is found.body[2]
    assert net.body[0].weight.data_ptr() == before == net.body[2].weight.data_ptr()


def test_the_mixin_reads_a_network_of_the_registry_that_its_class_builds(tmp_path: Path) -> None:
    net = small()
    save_pretrained(net, tmp_path / "edsr")
    assert same_tensors(First.from_pretrained(tmp_path / "edsr"), net)
    with pytest.raises(CheckpointError, match="cannot build Assembled for these weights .*'depth'"):
        Assembled.from_pretrained(tmp_path / "edsr")


def test_what_would_not_come_back_is_not_written(tmp_path: Path) -> None:
    plain = PostUpsampling(
        scale=2, image_channels=3, head=conv(3, 4), body=nn.Identity(), upsampler=PixelShuffleUp(4, 2), tail=conv(4, 3)
    )
    slots = Slots(
        scale=2, image_channels=3, head=conv(3, 4), body=nn.Identity(), upsampler=PixelShuffleUp(4, 2), tail=conv(4, 3)
    )
    altered = Assembled()
    altered.head = conv(3, 6, 5)
    for net, message in (
        (plain, "PostUpsampling is not a registered network"),
        (slots, "Slots: constructor arguments must be numbers, strings or lists .*'head'"),
        (altered, "Assembled\\(\\*\\*config\\): .*1 of another shape, first head.weight"),
        (optimize(small()), "an optimized network cannot be saved"),
        (
            optimize(filled(First(depth=1, width=8))),
            "First: an optimized network cannot be saved",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            save_pretrained(net, tmp_path / "net")
        assert not list(tmp_path.glob("net/*"))

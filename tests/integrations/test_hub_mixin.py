"""User-defined classes as repositories on the Hugging Face Hub."""

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
    """Uses one module twice."""

    def __init__(self, *, width: int = 6) -> None:
        shared = conv(width, width)
        super().__init__(
            scale=2,
            image_channels=3,
            head=conv(3, width),
            body=nn.Sequential(shared, nn.ReLU(), shared),
            upsampler=PixelShuffleUp(width, 2),
            tail=conv(width, 3),
        )


class ModuleArguments(HubMixin, PostUpsampling):
    """Takes modules as arguments, which cannot be stored."""


@pytest.mark.parametrize("mixed", [First, Second])
def test_user_defined_classes_save_and_load(mixed: type[HubMixin], tmp_path: Path) -> None:
    net = filled(mixed(scale=3, depth=2, width=8, res_scale=0.1))
    net.save_pretrained(tmp_path / "net", license="mit")
    loaded = mixed.from_pretrained(tmp_path / "net")
    assert (type(loaded), loaded.config, loaded.training) == (mixed, net.config, False)
    assert loaded.config["res_scale"] == 0.1
    assert same_tensors(loaded, net)
    assert f'net = {mixed.__name__}.from_pretrained("net")' in (tmp_path / "net" / "README.md").read_text()
    with pytest.raises(
        CheckpointError, match=f"{mixed.__name__} is not a registered .* use {mixed.__name__}.from_pretrained"
    ):
        from_pretrained(tmp_path / "net")


def test_shared_weights_stay_shared(tmp_path: Path) -> None:
    net = Tied(width=5)
    before = net.body[0].weight.data_ptr()
    net.save_pretrained(tmp_path)
    loaded = Tied.from_pretrained(tmp_path)
    assert same_tensors(loaded, net)
    assert loaded.body[0] is loaded.body[2]
    assert net.body[0].weight.data_ptr() == before == net.body[2].weight.data_ptr()


def test_mixin_loads_registered_networks_of_its_base_class(tmp_path: Path) -> None:
    net = small()
    save_pretrained(net, tmp_path / "edsr")
    assert same_tensors(First.from_pretrained(tmp_path / "edsr"), net)
    with pytest.raises(CheckpointError, match="cannot build Assembled for these weights .*'depth'"):
        Assembled.from_pretrained(tmp_path / "edsr")


def test_networks_that_could_not_be_loaded_are_not_saved(tmp_path: Path) -> None:
    plain = PostUpsampling(
        scale=2, image_channels=3, head=conv(3, 4), body=nn.Identity(), upsampler=PixelShuffleUp(4, 2), tail=conv(4, 3)
    )
    modules = ModuleArguments(
        scale=2, image_channels=3, head=conv(3, 4), body=nn.Identity(), upsampler=PixelShuffleUp(4, 2), tail=conv(4, 3)
    )
    altered = Assembled()
    altered.head = conv(3, 6, 5)
    for net, message in (
        (plain, "PostUpsampling is not a registered network"),
        (modules, "ModuleArguments: constructor arguments must be numbers, strings or lists .*'head'"),
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

"""Modules with hooks, parametrizations or replaced forward methods keep what they compute."""

import types
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from helpers.rewriting import all_but, around, checked, names
from srblocks.blocks import (
    RCAB,
    Conv3XC,
    FeatureFusion,
    MeanShift,
    MemoryBlock,
    Rescale,
    ResidualBlock,
    ResidualDenseBlock,
    conv,
)
from srblocks.network import Network
from srblocks.rewrites import REWRITES
from srblocks.upsampling import DeconvUp, InterpolateUp


class OneMemory(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = MemoryBlock(6, memories=1, recursions=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.block([x])


def upscaling(*layers: nn.Module) -> Network:
    return around(upsampler=nn.Sequential(*layers), tail=nn.Softplus(), image_channels=3)


# Modules that rewrites replace or remove: the network, the rewrite and the path of the module.
PLACES: dict[str, tuple[Callable[[], Network], str, str]] = {
    "re-parameterized block": (lambda: around(Conv3XC(6, 6)), "reparameterization", "body"),
    "convolution before a norm": (
        lambda: around(nn.Sequential(conv(6, 6), nn.BatchNorm2d(6), nn.Softplus())), "norm_folding", "body.0",
    ),
    "norm": (lambda: around(nn.Sequential(conv(6, 6), nn.BatchNorm2d(6), nn.Softplus())), "norm_folding", "body.1"),
    "norm of a block": (lambda: around(ResidualBlock(6, norm=nn.BatchNorm2d)), "norm_folding", "body.norm1"),
    "last convolution of a block": (lambda: around(ResidualBlock(6, res_scale=0.3)), "res_scale_folding", "body.conv2"),
    "fuse": (
        lambda: around(ResidualDenseBlock(6, growth=3, depth=2, res_scale=0.3)), "res_scale_folding", "body.fuse",
    ),
    "transposed convolution": (
        lambda: upscaling(nn.ConvTranspose2d(6, 3, 4, stride=2, padding=1)), "transposed_convolution", "upsampler.0",
    ),
    "transposed convolution of an upsampler": (
        lambda: upscaling(DeconvUp(6, 2, out_channels=3)), "transposed_convolution", "upsampler.0.deconv",
    ),
    "nearest upsampling": (
        lambda: upscaling(InterpolateUp(6, 2, mode="nearest"), conv(6, 3)), "nearest_convolution", "upsampler.0",
    ),
    "convolution after upsampling": (
        lambda: upscaling(InterpolateUp(6, 2, mode="nearest"), conv(6, 3)), "nearest_convolution", "upsampler.1",
    ),
    "rescaling": (lambda: around(normalize=Rescale(3.0), head=conv(3, 6)), "value_range_folding", "normalise"),
    "mean": (
        lambda: around(normalize=nn.Sequential(MeanShift(-1)), head=conv(3, 6)), "value_range_folding", "normalise.0",
    ),
    "convolution after a rescaling": (
        lambda: around(normalize=Rescale(3.0), head=conv(3, 6)), "value_range_folding", "head",
    ),
    "convolution of a tail": (
        lambda: around(upsampler=nn.Sequential(conv(6, 32), nn.PixelShuffle(2)), tail=conv(8, 3)), "tail_collapse",
        "upsampler.0",
    ),
    "shuffle of a tail": (
        lambda: around(upsampler=nn.Sequential(conv(6, 32), nn.PixelShuffle(2)), tail=conv(8, 3)), "tail_collapse",
        "upsampler.1",
    ),
    "sequence inside a tail": (
        lambda: around(upsampler=nn.Sequential(conv(6, 32), nn.PixelShuffle(2)), tail=conv(8, 3)), "tail_collapse",
        "upsampler",
    ),
    "fusion": (
        lambda: around(FeatureFusion([conv(6, 6), conv(6, 6)], conv(12, 6, 1))), "accumulation", "body",
    ),
    "fusing convolution": (
        lambda: around(FeatureFusion([conv(6, 6), conv(6, 6)], conv(12, 6, 1))), "accumulation", "body.fuse",
    ),
    "memory block": (lambda: around(OneMemory()), "accumulation", "body.block"),
    "recursion": (lambda: around(OneMemory()), "accumulation", "body.block.recursive"),
    "gate": (lambda: around(OneMemory()), "accumulation", "body.block.gate"),
    "gating convolution": (lambda: around(OneMemory()), "accumulation", "body.block.gate.conv"),
    "gating norm": (lambda: around(OneMemory()), "accumulation", "body.block.gate.norm"),
    "dense block": (lambda: around(ResidualDenseBlock(6, growth=3, depth=2)), "dense_buffer", "body.dense"),
    "gated block": (lambda: around(RCAB(6, reduction=2)), "gated_residual", "body"),
    "attention": (lambda: around(RCAB(6, reduction=2)), "gated_residual", "body.attention"),
    "block": (lambda: around(ResidualBlock(6)), "in_place", "body"),
    "last convolution before a sum": (lambda: around(ResidualBlock(6)), "in_place", "body.conv2"),
    "activation of a block": (lambda: around(ResidualBlock(6)), "in_place", "body.act"),
    "activation": (lambda: around(nn.Sequential(conv(6, 6), nn.ReLU(), conv(6, 6))), "in_place", "body.1"),
}  # fmt: skip


SIZES = ((1, 1), (5, 4))


def altered(output: Tensor) -> Tensor:
    return (output * 0.5).tanh()


@pytest.mark.parametrize("place", PLACES)
def test_hooks_and_replaced_forward_methods_are_respected(place: str) -> None:
    build, rewrite, path = PLACES[place]
    net = build()
    assert names(checked(net, *SIZES, without=all_but(rewrite))) == {rewrite}
    net.get_submodule(path).register_forward_hook(lambda module, inputs, output: altered(output))
    checked(net, *SIZES, case="forward hook")
    if place != "memory block":  # its input is a list
        net = build()
        hook = lambda module, inputs: (altered(inputs[0]), *inputs[1:])  # noqa: E731
        net.get_submodule(path).register_forward_pre_hook(hook)
        checked(net, *SIZES, case="forward pre-hook")
    if place not in ("recursion", "attention"):
        net = build()
        module = net.get_submodule(path)
        original = type(module).forward
        module.forward = types.MethodType(lambda self, *inputs: altered(original(self, *inputs)), module)
        checked(net, *SIZES, case="replaced forward")


def test_places_cover_every_rewrite() -> None:
    assert {rewrite for _, rewrite, _ in PLACES.values()} == set(REWRITES)


class Squared(nn.Module):
    """A parametrization that cannot be undone."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.square() - 0.1


CONVOLUTIONS = [place for place in PLACES if "convolution" in place or place == "fuse"]
PARAMETRIZATIONS = (
    parametrizations.weight_norm,
    parametrizations.spectral_norm,
    lambda module: parametrize.register_parametrization(module, "weight", Squared()),
)


def test_parametrized_weights_are_folded_with_their_effective_values() -> None:
    for place in CONVOLUTIONS:
        build, rewrite, path = PLACES[place]
        for parametrization in PARAMETRIZATIONS:
            net = build()
            parametrization(net.get_submodule(path))
            net.eval()
            assert rewrite in names(checked(net, case=place, without=all_but(rewrite))), place


def test_weights_shared_with_another_convolution_are_kept_there() -> None:
    for place in CONVOLUTIONS:
        if "transposed" in place:
            continue
        build, rewrite, path = PLACES[place]
        net = build()
        tied = net.get_submodule(path)
        other = type(tied)(tied.in_channels, tied.out_channels, tied.kernel_size, tied.stride, tied.padding)
        other.weight = tied.weight
        net.add_module("other", other.double().eval())
        rewritten = checked(net, case=place, without=all_but(rewrite))
        assert torch.equal(rewritten.other.weight, tied.weight), place

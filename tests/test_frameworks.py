"""The frameworks compared with hand-written data flows."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from srblocks import OnLuma, OnYCbCr, create_network, to_precision
from srblocks.blocks import Rescale, conv, normalization
from srblocks.frameworks import IterativeUpsampling, PostUpsampling, PreUpsampling, ProgressiveUpsampling
from srblocks.network import Network
from srblocks.upsampling import BicubicResize, DownProjection, InterpolateUp, LaplacianLevel, PixelShuffleUp
from srblocks.upsampling import UpProjection as Up

Flow = tuple[Network, Callable[[Tensor], Tensor]]


def body() -> nn.Module:
    return nn.Sequential(nn.ReLU(), conv(4, 4))


def inner_range(inner: bool) -> dict[str, nn.Module]:
    return dict(zip(("normalize", "denormalize"), normalization(1, 255, (0.25,)), strict=True)) if inner else {}


def pre(skip: bool, inner: bool) -> Flow:
    slots = {"head": conv(1, 4), "body": body(), "tail": conv(4, 1), **inner_range(inner)}
    scale = 2 + skip
    up = PixelShuffleUp(1, scale) if inner else InterpolateUp(1, scale)  # sensitive to the value range
    net = PreUpsampling(scale=scale, image_channels=1, upsampler=up, image_skip=skip, **slots)

    def flow(lr: Tensor) -> Tensor:
        image = net.upsampler(255 * (lr - 0.25) if inner else lr)
        sr = net.tail(net.body(net.head(image))) + (image if skip else 0)
        return sr / 255 + 0.25 if inner else sr

    return net, flow


def post(skip: bool, inner: bool) -> Flow:
    slots = {"head": conv(1, 4), "body": body(), "tail": conv(4, 1), **inner_range(inner)}
    net = PostUpsampling(
        scale=2 + skip, image_channels=1, upsampler=PixelShuffleUp(4, 2 + skip), long_skip=skip, **slots
    )

    def flow(lr: Tensor) -> Tensor:
        features = net.head(255 * (lr - 0.25) if inner else lr)
        sr = net.tail(net.upsampler(net.body(features) + (features if skip else 0)))
        return sr / 255 + 0.25 if inner else sr

    return net, flow


def pyramid(resize: bool, inner: bool) -> tuple[Network, Callable[[Tensor], list[Tensor]]]:
    levels = [
        LaplacianLevel(4, body=conv(4, 4)),
        LaplacianLevel(4, body=nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4))),
    ]
    smaller = BicubicResize(1, 3, 4) if resize else None
    slots = {"head": conv(1, 4), "levels": levels, "resize": smaller, **inner_range(inner)}
    net = ProgressiveUpsampling(scale=3 if resize else 4, image_channels=1, **slots)

    def flow(lr: Tensor) -> list[Tensor]:
        image = 255 * (lr - 0.25) if inner else lr
        features, coarse = levels[0](net.head(image), image)
        _, fine = levels[1](features, coarse)
        fine = smaller(fine) if smaller else fine
        return [coarse / 255 + 0.25, fine / 255 + 0.25] if inner else [coarse, fine]

    return net, flow


def progressive(resize: bool, inner: bool) -> Flow:
    net, flow = pyramid(resize, inner)
    return net, lambda lr: flow(lr)[-1]


def iterative(skip: bool, deep: bool) -> Flow:
    scale = 2 + deep
    downs = [DownProjection(4, scale), DownProjection(8, scale, out_channels=4)][: 1 + deep]
    ups = [Up(4, scale), Up(8, scale, out_channels=4)][: 1 + deep]
    slots = {"head": conv(1, 4), "first": Up(4, scale), "downs": downs, "ups": ups, "tail": conv(12 if deep else 8, 1)}
    image_skip = InterpolateUp(1, scale) if skip else None
    net = IterativeUpsampling(scale=scale, image_channels=1, image_skip=image_skip, **slots)

    def flow(lr: Tensor) -> Tensor:
        high1 = net.first(net.head(lr))
        low1 = downs[0](high1)
        high2 = ups[0](low1)
        high = torch.cat((high2, high1), 1)
        if deep:
            low2 = downs[1](high)
            high = torch.cat((ups[1](torch.cat((low2, low1), 1)), high2, high1), 1)
        return net.tail(high) + (net.image_skip(lr) if skip else 0)

    return net, flow


@pytest.mark.parametrize("build", [pre, post, progressive, iterative], ids=lambda build: build.__name__)
def test_output_is_the_composition_of_the_slots(build: Callable[[bool, bool], Flow]) -> None:
    for options in ((False, False), (False, True), (True, False), (True, True)):
        net, flow = build(*options)
        net.double()
        lr = torch.rand(2, 1, 5, 6, dtype=torch.float64)
        before = lr.clone()
        sr = net(lr)
        assert sr.shape == (2, net.image_channels, net.scale * 5, net.scale * 6), options
        torch.testing.assert_close(sr, flow(lr), rtol=0, atol=1e-12)
        assert torch.equal(net.intermediate_outputs(lr)[-1], sr), options
        assert torch.equal(lr, before), options
        if len(set(options)) == 1:
            scripted = torch.jit.script(net)
            for size in ((4, 4), (3, 8)):
                lr = torch.rand(1, 1, *size, dtype=torch.float64)
                torch.testing.assert_close(scripted(lr), net(lr), rtol=0, atol=1e-12)


def test_pyramid_returns_every_level_and_resizes_the_last() -> None:
    for resize, inner in ((False, False), (False, True), (True, False), (True, True)):
        net, flow = pyramid(resize, inner)
        lr = torch.rand(1, 1, 4, 5)
        images = net.intermediate_outputs(lr)
        torch.testing.assert_close(images, flow(lr), rtol=1e-5, atol=1e-5)
        assert [image.shape[2] for image in images] == [8, 12 if resize else 16]


def test_other_frameworks_return_one_output_and_bicubic_slots_set_min_size() -> None:
    nets = [build(skip, False)[0] for build in (pre, post, iterative) for skip in (False, True)]
    assert [len(net.intermediate_outputs(torch.rand(1, 1, 4, 4))) for net in nets] == [1] * 6
    assert [net.min_size for net in nets] == [2, 2, 1, 1, 1, 2]
    assert {net.size_multiple for net in nets} == {1}


def test_missing_and_unknown_slots_raise() -> None:
    for framework in (PreUpsampling, PostUpsampling, ProgressiveUpsampling, IterativeUpsampling):
        with pytest.raises(TypeError, match="missing .* 'head'"):
            framework()
        with pytest.raises(TypeError, match="unexpected keyword argument 'neck'"):
            framework(neck=Rescale(1))


class Wrapper(nn.Module):
    def __init__(self, net: Network) -> None:
        super().__init__()
        self.generator = net

    def forward(self, x: Tensor) -> Tensor:
        return self.generator(x).clamp(0, 1)


def to_bf16(net: Network) -> Network:
    return to_precision(net, "bf16")


def test_fx_traces_networks_inside_other_modules() -> None:
    for wrap in (Wrapper, OnLuma, OnYCbCr, to_bf16):
        color = "ycbcr" if wrap is OnYCbCr else "y"
        arguments = {"image_channels": 3 if color == "ycbcr" else 1, "color": color, "width": 8, "depth": 3}
        module = wrap(create_network("espcn", scale=2, **arguments)).eval()
        traced = torch.fx.symbolic_trace(module)
        lr = torch.rand(1, 1 if wrap in (Wrapper, to_bf16) else 3, 5, 6)
        torch.testing.assert_close(traced(lr), module(lr))


class Tiny(PostUpsampling):
    def __init__(self, width: int = 4, *, scale: int = 2, depth: int | None = None) -> None:
        layers = nn.Sequential(*(conv(width, width) for _ in range(depth or 3)))
        slots = {"head": conv(1, width), "upsampler": PixelShuffleUp(width, scale), "tail": conv(width, 1)}
        super().__init__(scale=scale, image_channels=1, body=layers, **slots)


def test_config_has_arguments_and_defaults() -> None:
    net = PostUpsampling(scale=2, image_channels=5, **dict.fromkeys(("head", "body", "upsampler", "tail"), Rescale(1)))
    defaults = {"long_skip": False, "image_skip": None, "min_size": 1, "size_multiple": 1}
    defaults |= {"color": None, "normalize": None, "denormalize": None}
    assert net.config == {"scale": 2, "image_channels": 5, **defaults}
    assert (net.scale, net.image_channels) == (2, 5)
    assert Tiny().config == {"width": 4, "scale": 2, "depth": None}
    assert Tiny(6, depth=1).config == {"width": 6, "scale": 2, "depth": 1}


def test_config_rebuilds_the_network_and_is_copied() -> None:
    net = Tiny(3, scale=3)
    again, twin = Tiny(**net.config), copy.deepcopy(net)
    again.load_state_dict(net.state_dict())
    lr = torch.rand(1, 1, 4, 5)
    assert torch.equal(again(lr), net(lr))
    assert torch.equal(twin(lr), net(lr))
    assert again.config == twin.config == net.config

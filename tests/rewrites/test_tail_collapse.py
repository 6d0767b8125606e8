"""Collapsed linear tails are exact for any kernels; tails with anything nonlinear in between are kept."""

import math
from itertools import product

import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.rewriting import all_but, around, assert_equal, checked, image, names, reasons
from helpers.support import relative_error
from srblocks import optimize
from srblocks.blocks import ResidualBlock, conv
from srblocks.frameworks import PostUpsampling
from srblocks.network import Network
from srblocks.rewrites import tail_collapse
from srblocks.upsampling import PixelShuffleUp

ALONE = {"without": all_but("tail_collapse")}
MIN_SIZE = tail_collapse.MIN_SIZE


def tailed(*layers: nn.Module, scale: int, channels: int = 6, **slots: object) -> Network:
    """Return a network whose upsampler is these layers, which output the image."""
    return around(channels=channels, scale=scale, upsampler=nn.Sequential(*layers), tail=nn.Identity(), **slots)


def wide(*between: nn.Module, first: nn.Module | None = None, last: nn.Module | None = None) -> Network:
    """Return an x2 network whose tail collapses unless layers between shuffle and last convolution prevent it."""
    return tailed(first or conv(6, 32), nn.PixelShuffle(2), *between, last or conv(8, 3), scale=2)


@st.composite
def tails(draw: st.DrawFn) -> tuple[list[nn.Module], int, int, int]:
    """Draw linear layers, their scale factor, and their number of input and output channels."""
    inputs, scale = draw(st.integers(2, 4)), 1
    layers: list[nn.Module] = []
    channels = inputs

    def convolution(out: int) -> nn.Module:
        groups = draw(st.sampled_from([n for n in (1, 1, 2, 3) if channels % n == 0 and out % n == 0]))
        return conv(channels, out, draw(st.sampled_from([1, 3, 3, 5])), bias=draw(st.booleans()), groups=groups)

    for _ in range(draw(st.integers(1, 3))):
        factor = draw(st.sampled_from([2, 2, 3]))
        if scale * factor > 6:
            break
        for _ in range(draw(st.sampled_from([1, 1, 0, 2])) if layers else 1):
            out = factor**2 * draw(st.integers(3, 8))
            layers.append(convolution(out))
            channels = out
        if channels % factor**2 == 0:
            layers.append(nn.PixelShuffle(factor))
            channels, scale = channels // factor**2, scale * factor
    out = draw(st.integers(1, 3))
    layers.append(convolution(out))
    return layers, scale, inputs, out


@settings(max_examples=25, deadline=None)
@given(tail=tails(), height=st.integers(1, 9), width=st.integers(1, 9))
def test_random_linear_tails_compute_the_same(
    tail: tuple[list[nn.Module], int, int, int], height: int, width: int
) -> None:
    layers, scale, inputs, outputs = tail
    net = tailed(*layers, scale=scale, channels=inputs, image_channels=outputs, head=conv(outputs, inputs, 1))
    event(", ".join(names(checked(net, (1, 1), (height, width), **ALONE))) or "kept")


def test_published_tails_collapse_with_any_kernel_sizes() -> None:
    kernels = [(3, 3), (1, 3), (5, 3), (3, 5), (1, 1), (3, 1)]
    for scale, (first, last) in [*product((2, 3, 4), kernels), (6, (3, 3)), (6, (5, 3)), (8, (3, 3)), (8, (3, 5))]:
        up = PixelShuffleUp(6, scale, kernel_size=first)
        net = tailed(*up, conv(6, 1, last), scale=scale, image_channels=1, head=conv(1, 6))
        rewritten = checked(net, (1, 1), (MIN_SIZE + 1, 7), case=(scale, first, last), **ALONE)
        assert names(rewritten) == {"tail_collapse"}, (scale, first, last)
        if (first, last) != (5, 3):  # with wide kernels at every step only the last step collapses
            assert not any(isinstance(layer, (nn.Conv2d, nn.PixelShuffle)) for layer in rewritten.upsampler[1:])


def test_one_kernel_everywhere_would_be_wrong_at_the_borders() -> None:
    net = wide()
    rewritten = checked(net, **ALONE)
    tail = rewritten.upsampler[0]
    for band in (tail.first, tail.inner, tail.last):
        band.first.load_state_dict({**band.first.state_dict(), "bias": tail.inner.inner.bias})
    lr = image(rewritten, 7, 6)
    error = (rewritten(lr) - net(lr)).abs().amax((0, 1))
    assert error[2:-2, 2:-2].max() < 1e-12
    assert error[:, :2].max() > 1e-3


def test_kernel_wider_than_its_step_is_exact() -> None:
    layers = [conv(6, 64), nn.PixelShuffle(2), conv(16, 32, 1), nn.PixelShuffle(2), conv(8, 3, 7)]
    checked(tailed(*layers, scale=4), (4, 4), (5, 9), **ALONE)


def test_consecutive_shuffles_are_exact() -> None:
    for factors in ((2, 2), (2, 3), (2, 2, 2)):
        scale = math.prod(factors)
        shuffles = [nn.PixelShuffle(factor) for factor in factors]
        net = tailed(conv(3, 6 * scale**2), *shuffles, conv(6, 3), scale=scale, channels=3)
        assert names(checked(net, (4, 4), (5, 9), case=factors, **ALONE)) == {"tail_collapse"}, factors


def test_tail_across_nested_containers_and_slots_collapses() -> None:
    step = nn.Sequential(nn.Identity(), nn.Sequential(conv(6, 32), nn.PixelShuffle(2)))
    net = around(upsampler=nn.Sequential(nn.Sequential(step), nn.Identity()), tail=nn.Sequential(conv(8, 3)))
    assert names(checked(net, **ALONE)) == {"tail_collapse"}


def test_tails_on_both_sides_of_an_activation_collapse() -> None:
    layers = [conv(6, 64), nn.PixelShuffle(2), conv(16, 12), nn.ReLU(), conv(12, 64), nn.PixelShuffle(2), conv(16, 3)]
    rewritten = checked(tailed(*layers, scale=4), **ALONE)
    assert len(rewritten.rewrites.applied) == 2


class Doubling(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Clamping(nn.PixelShuffle):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(0, 0.1)


KEPT = {
    "activation": lambda: wide(nn.ReLU()),
    "norm": lambda: wide(nn.BatchNorm2d(8)),
    "dropout": lambda: wide(nn.Dropout2d()),
    "block": lambda: wide(ResidualBlock(8)),
    "reflecting": lambda: wide(last=conv(8, 3, padding_mode="reflect")),
    "reflecting first": lambda: wide(first=conv(6, 32, padding_mode="replicate")),
    "even kernel": lambda: wide(last=nn.Sequential(nn.Conv2d(8, 3, 4, padding=2), nn.AvgPool2d(2, stride=1))),
    "narrow kernel": lambda: wide(last=nn.Conv2d(8, 3, (1, 3), padding=(0, 1))),
    "dilated": lambda: wide(last=conv(8, 3, dilation=2)),
    "strided": lambda: tailed(conv(6, 72), nn.PixelShuffle(6), nn.Conv2d(2, 3, 3, stride=3, padding=1), scale=2),
    "no padding": lambda: wide(nn.ZeroPad2d(1), last=nn.Conv2d(8, 3, 3)),
    "custom convolution": lambda: wide(last=Doubling(8, 3, 3, padding=1)),
    "custom shuffle": lambda: tailed(conv(6, 32), Clamping(2), conv(8, 3), scale=2),
    "unshuffle": lambda: tailed(conv(6, 144), nn.PixelShuffle(4), nn.PixelUnshuffle(2), conv(36, 3), scale=2),
}


def test_nonlinear_or_unsupported_tails_are_kept() -> None:
    for case, build in KEPT.items():
        assert names(checked(build(), (3, 3), (5, 4), case=case, **ALONE)) == set(), case


def test_padding_given_as_same_is_exact() -> None:
    checked(wide(last=nn.Conv2d(8, 3, 3, padding="same")), **ALONE)


def test_tails_with_more_than_one_border_row_are_kept() -> None:
    rewritten = checked(wide(last=conv(8, 3, 7)), **ALONE)
    assert reasons(rewritten, "tail_collapse") == ["its padding affects 2 border rows; at most one is supported"]


def test_tail_that_would_cost_more_is_kept() -> None:
    net = tailed(conv(6, 4), nn.PixelShuffle(2), conv(1, 3), scale=2)
    (reason,) = reasons(checked(net, **ALONE), "tail_collapse")
    assert reason == "one kernel would cost more multiplications than the separate layers"


def test_tail_is_kept_if_min_size_requires_smaller_images() -> None:
    for min_size in (1, MIN_SIZE - 1, MIN_SIZE, MIN_SIZE + 5):
        rewritten = checked(wide(), case=min_size, min_size=min_size, **ALONE)
        applied = min_size >= MIN_SIZE
        assert (names(rewritten) == {"tail_collapse"}) is applied, min_size
        assert rewritten.min_size == (MIN_SIZE if applied else 1), min_size


def test_tail_that_ends_in_a_pointwise_convolution_keeps_min_size() -> None:
    rewritten = checked(wide(last=conv(8, 3, 1)), min_size=1, **ALONE)
    assert names(rewritten) == {"tail_collapse"}
    assert rewritten.min_size == 1


def test_tails_on_features_with_few_rows_are_kept() -> None:
    net = PostUpsampling(
        scale=1,
        image_channels=3,
        head=nn.Conv2d(3, 6, 3, stride=2, padding=1),
        body=nn.Identity(),
        upsampler=nn.Sequential(conv(6, 32), nn.PixelShuffle(2)),
        tail=conv(8, 3),
        size_multiple=2,
    ).double()
    rewritten = checked(net, (2, 2), (6, 4), **ALONE)
    assert (names(rewritten), rewritten.min_size) == (set(), 2)
    assert reasons(rewritten, "tail_collapse") == [f"its features can have fewer than {MIN_SIZE} rows or columns"]


class Pooled(nn.Module):
    """Upscaled globally pooled features, added to the features."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.tail = nn.Sequential(conv(6, 32), nn.PixelShuffle(2), conv(8, 6))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.tail(self.pool(x)).mean((2, 3), keepdim=True)


def test_tails_on_pooled_features_are_kept() -> None:
    assert names(checked(around(Pooled()), **ALONE)) == set()


class Strips(nn.Module):
    """A tail that also runs on the first row alone."""

    def __init__(self) -> None:
        super().__init__()
        self.tail = nn.Sequential(conv(6, 32), nn.PixelShuffle(2), conv(8, 6), nn.AvgPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(x) + self.tail(x[:, :, :1])


def test_tail_that_also_runs_on_single_rows_is_kept() -> None:
    assert names(checked(around(Strips()), (5, 4), (9, 16), **ALONE)) == set()


class Peeking(PostUpsampling):
    """A network with a custom forward that reads the features between upsampler and tail."""

    def forward(self, lr: Tensor) -> Tensor:
        x = self.upsampler(self.head(lr))
        return self.tail(x) + x[:, :3]


class Intermediate(PostUpsampling):
    """A network whose intermediate outputs include the features between upsampler and tail."""

    def intermediate_outputs(self, lr: Tensor) -> list[Tensor]:
        return [self.upsampler(self.body(self.head(lr))), self(lr)]


def slots() -> dict[str, nn.Module]:
    return {"head": conv(3, 6), "upsampler": PixelShuffleUp(6, 2, out_channels=8), "tail": conv(8, 3)}


def test_tail_read_by_a_custom_forward_is_kept() -> None:
    net = Peeking(scale=2, image_channels=3, body=nn.Identity(), **slots()).double()
    assert names(checked(net, **ALONE)) == set()


def test_intermediate_outputs_between_upsampler_and_tail_are_exact() -> None:
    net = Intermediate(scale=2, image_channels=3, body=nn.Identity(), **slots()).double()
    rewritten = optimize(net, **ALONE)
    assert_equal(rewritten, net)
    lr = image(rewritten, 5, 6)
    between, sr = rewritten.intermediate_outputs(lr)
    assert relative_error(between, net.intermediate_outputs(lr)[0]) < 1e-12
    assert torch.equal(sr, rewritten(lr))


def test_shared_container_is_not_collapsed_with_the_next_layers() -> None:
    up = nn.Sequential(conv(6, 24), nn.PixelShuffle(2))
    body = nn.Sequential(up, nn.Softplus(), nn.AvgPool2d(2))
    assert names(checked(around(body, upsampler=up, tail=conv(6, 3)), **ALONE)) == set()


def test_tail_that_runs_twice_collapses_once() -> None:
    tail = nn.Sequential(conv(6, 64), nn.PixelShuffle(2), conv(16, 6), nn.Softplus(), nn.AvgPool2d(2))
    rewritten = checked(around(nn.Sequential(tail, tail)), **ALONE)
    assert rewritten.body[0] is rewritten.body[1]
    assert len(rewritten.rewrites.applied) == 1


def test_shared_convolution_is_kept_elsewhere() -> None:
    shared = conv(6, 6)
    up = nn.Sequential(shared, conv(6, 32), nn.PixelShuffle(2))
    net = around(nn.Sequential(nn.Softplus(), shared, nn.Softplus()), upsampler=up, tail=conv(8, 3))
    assert names(checked(net, **ALONE)) == {"tail_collapse"}

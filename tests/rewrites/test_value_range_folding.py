"""Folding of value-range changes into adjacent convolutions, exact at every border."""

import copy
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.rewriting import all_but, around, checked, image, names, reasons
from helpers.small_networks import randomize
from srblocks import optimize
from srblocks.blocks import DIV2K_MEAN, MeanShift, Rescale, conv, normalization
from srblocks.frameworks import PreUpsampling
from srblocks.network import Network
from srblocks.upsampling import BicubicResize, InterpolateUp

ALONE = {"without": all_but("value_range_folding")}
PADDINGS = ("zeros", "reflect", "replicate", "circular")


def to_range() -> nn.Module:
    """Return the conversion from [0, 1] to the value range of a network."""
    return nn.Sequential(Rescale(255), MeanShift(-1, value_range=255))


def kinds(net: Network) -> list[str]:
    """Return the class names of the modules that change the value range."""
    found = [type(module).__name__ for module in net.modules()]
    return sorted(name for name in found if name in ("MeanShift", "Rescale", "Subtract"))


@st.composite
def ranges(draw: st.DrawFn) -> nn.Module:
    """Draw value-range changes in any order and nesting."""
    steps: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        factor = draw(st.sampled_from([0.5, 3.0, -2.0]))
        steps.append(draw(st.sampled_from([Rescale(factor), MeanShift(-1), MeanShift(1, value_range=3.0)])))
    return nn.Sequential(*steps[:2], nn.Sequential(*steps[2:]), nn.Identity())


@settings(max_examples=30, deadline=None)
@given(
    steps=ranges(),
    mode=st.sampled_from(PADDINGS),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padded=st.booleans(),
    bias=st.booleans(),
    size=st.tuples(st.integers(3, 6), st.integers(3, 6)),
)
def test_ranges_before_any_convolution_are_exact(
    steps: nn.Module, mode: str, kernel: tuple[int, int], padded: bool, bias: bool, size: tuple[int, int]
) -> None:
    padding = tuple(side - 1 for side in kernel) if padded else (0, 0)
    head = nn.Conv2d(3, 6, kernel, padding=padding, padding_mode=mode, bias=bias)
    sized = nn.Sequential(head, nn.AdaptiveAvgPool2d(size))  # back to the size of the image
    rewritten = checked(around(normalize=steps, head=sized, min_size=3), size, **ALONE)
    assert names(rewritten) == {"value_range_folding"}
    bordered = padded and mode == "zeros" and padding != (0, 0)
    shifted = any(isinstance(step, MeanShift) for step in steps.modules())
    assert kinds(rewritten) == (["Subtract"] if bordered and shifted else [])


@settings(max_examples=15, deadline=None)
@given(
    steps=ranges(),
    factors=st.lists(st.sampled_from([2, 3]), max_size=2),
    mode=st.sampled_from(PADDINGS),
    bias=st.booleans(),
)
def test_ranges_after_a_convolution_and_shuffles_are_exact(
    steps: nn.Module, factors: list[int], mode: str, bias: bool
) -> None:
    scale = int(torch.tensor([1, *factors]).prod())
    last = nn.Conv2d(6, 3 * scale**2, 3, padding=1, padding_mode=mode, bias=bias)
    tail = nn.Sequential(last, *(nn.PixelShuffle(factor) for factor in factors))
    net = around(scale=scale, upsampler=nn.Identity(), tail=tail, denormalize=steps, min_size=2)
    rewritten = checked(net, (2, 3), (5, 4), **ALONE)
    assert (kinds(rewritten), names(rewritten)) == ([], {"value_range_folding"})


def naive(net: Network) -> Network:
    """Fold the shift into the bias of the first convolution, as if nothing were padded."""
    weight = net.head.weight.clone()
    rewritten = optimize(net, **ALONE)
    rewritten.head.bias += torch.einsum(
        "o c h w, c -> o", rewritten.head.weight, -rewritten.normalise[0].color[:, 0, 0]
    )
    rewritten.normalise[0] = nn.Identity()
    assert torch.equal(net.head.weight, weight)
    return rewritten


@pytest.mark.parametrize("kernel", [3, 5])
def test_folding_the_shift_into_the_bias_would_be_wrong_only_at_borders(kernel: int) -> None:
    net = around(normalize=to_range(), head=conv(3, 6, kernel), upsampler=conv(6, 12, 1), tail=nn.PixelShuffle(2))
    checked(net, **ALONE)
    lr = image(net, 11, 12)
    with torch.no_grad():
        error = (naive(net)(lr) - net(lr)).abs().amax((0, 1)) / net(lr).std()
    border = kernel // 2 * 2
    assert error[border:-border, border:-border].max() < 1e-12
    assert error[:border].min(1).values.max() > 1e-3
    assert min(error[:border].max(), error[-border:].max(), error[:, :border].max(), error[:, -border:].max()) > 1e-2


def test_ranges_are_moved_across_an_interpolation_of_the_image() -> None:
    normalize, denormalize = normalization(3, 255, DIV2K_MEAN)
    for case in product(("bicubic", "bilinear", "nearest"), ("symmetric", "replicate"), (1, 2, 3)):
        mode, border, scale = case
        upsampler = InterpolateUp(3, scale, mode=mode, border=border)
        slots = {"head": conv(3, 6, 5), "body": nn.Softplus(), "tail": conv(6, 3)}
        slots |= {"normalize": copy.deepcopy(normalize), "denormalize": copy.deepcopy(denormalize)}
        net = randomize(PreUpsampling(scale=scale, image_channels=3, upsampler=upsampler, **slots))
        assert kinds(checked(net, case=case, **ALONE)) == ["Subtract"], case


def test_ranges_are_moved_across_a_bicubic_resize() -> None:
    slots = {"upsampler": BicubicResize(3, 2), "head": conv(3, 6), "body": nn.Softplus(), "tail": conv(6, 3)}
    net = randomize(PreUpsampling(scale=2, image_channels=3, normalize=to_range(), size_multiple=2, **slots))
    assert kinds(checked(net, **ALONE)) == ["Subtract"]


def test_image_that_a_skip_also_reads_keeps_its_range() -> None:
    normalize, denormalize = normalization(3, 255, DIV2K_MEAN)
    slots = {"upsampler": InterpolateUp(3, 2), "head": conv(3, 6), "body": nn.Softplus(), "tail": conv(6, 3)}
    net = PreUpsampling(
        scale=2, image_channels=3, image_skip=True, normalize=normalize, denormalize=denormalize, **slots
    )
    assert kinds(checked(randomize(net), **ALONE)) == ["MeanShift", "MeanShift", "Rescale", "Rescale"]
    skipped = around(normalize=to_range(), head=conv(3, 6), image_skip=InterpolateUp(3, 2), denormalize=Rescale(0.5))
    assert names(checked(skipped, **ALONE)) == set()


class ClampedShuffle(nn.PixelShuffle):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(0, 0.1)


class Absolute(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).abs()


class Clamped(Rescale):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(0, 0.7)


class SquaredInterpolation(InterpolateUp):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).square()


KEPT = {
    "grouped": lambda: around(normalize=to_range(), head=conv(3, 6, groups=3)),
    "activation": lambda: around(normalize=nn.Sequential(to_range(), nn.Softplus()), head=conv(3, 6)),
    "transposed": lambda: around(normalize=to_range(), head=nn.ConvTranspose2d(3, 6, 3, padding=1)),
    "custom convolution": lambda: around(normalize=to_range(), head=Absolute(3, 6, 3, padding=1)),
    "custom range": lambda: around(normalize=Clamped(0.5), head=conv(3, 6)),
    "padding": lambda: around(normalize=nn.Sequential(to_range(), nn.ZeroPad2d(1)), head=nn.Conv2d(3, 6, 3)),
    "custom shuffle": lambda: around(
        upsampler=conv(6, 12), tail=ClampedShuffle(2), denormalize=nn.Sequential(Rescale(3.0), MeanShift(1))
    ),
    "shuffle before": lambda: around(
        head=nn.Sequential(conv(3, 12), nn.Softplus()), channels=3, body=nn.Sequential(nn.PixelShuffle(2), to_range()),
        upsampler=nn.Identity(), tail=nn.Identity(),
    ),
    "custom interpolation": lambda: randomize(
        PreUpsampling(
            scale=2, image_channels=3, normalize=to_range(), upsampler=SquaredInterpolation(3, 2), head=conv(3, 6),
            body=nn.Softplus(), tail=conv(6, 3),
        )
    ),
    "activated interpolation": lambda: randomize(
        PreUpsampling(
            scale=2, image_channels=3, normalize=to_range(), upsampler=InterpolateUp(3, 2, act=nn.Softplus),
            head=conv(3, 6), body=nn.Softplus(), tail=conv(6, 3),
        )
    ),
}  # fmt: skip


def test_ranges_without_an_adjacent_plain_convolution_are_kept() -> None:
    for case, build in KEPT.items():
        assert names(checked(build(), case=case, **ALONE)) == set(), case


def test_report_explains_what_was_kept() -> None:
    rewritten = checked(around(normalize=to_range(), head=conv(3, 6)), **ALONE)
    assert "one subtraction; the rest folded into the convolution after it" in str(rewritten.rewrites)
    grouped = checked(around(normalize=to_range(), head=conv(3, 6, groups=3)), **ALONE)
    (reason,) = reasons(grouped, "value_range_folding")
    assert reason.startswith("no ungrouped convolution next to it")


@pytest.mark.parametrize("step", ["mean shift", "rescale"])
def test_range_that_maps_a_channel_to_a_constant_is_exact(step: str) -> None:
    lossy = MeanShift(-1) if step == "mean shift" else nn.Sequential(Rescale(0.0), MeanShift(1))
    net = around(normalize=lossy, head=conv(3, 6))
    if isinstance(lossy, MeanShift):
        lossy.weight.fill_(0.25)
    checked(net, **ALONE)


def test_two_ranges_around_one_convolution_are_both_folded() -> None:
    net = around(head=nn.Sequential(to_range(), conv(3, 3), MeanShift(1), Rescale(0.1), nn.Softplus(), conv(3, 6)))
    rewritten = checked(net, **ALONE)
    assert kinds(rewritten) == ["Subtract"]


def test_shared_range_is_kept_elsewhere() -> None:
    shared = Rescale(3.0)
    net = around(normalize=shared, head=conv(3, 6), body=nn.Sequential(nn.Softplus(), shared, nn.Softplus()))
    rewritten = checked(net, **ALONE)
    assert (names(rewritten), kinds(rewritten)) == ({"value_range_folding"}, ["Rescale"])

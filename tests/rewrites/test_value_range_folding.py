"""Folding of value-range changes into adjacent convolutions, exact at every border."""

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


def inside() -> nn.Module:
    """From [0, 1] to the value range of a network."""
    return nn.Sequential(Rescale(255), MeanShift(-1, value_range=255))


def kinds(net: Network) -> list[str]:
    """Classes of the modules that change the value range."""
    found = [type(module).__name__ for module in net.modules()]
    return sorted(name for name in found if name in ("MeanShift", "Rescale", "Subtract"))


@st.composite
def ranges(draw: st.DrawFn) -> nn.Module:
    """Value-range changes in any order and nesting."""
    steps: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        factor = draw(st.sampled_from([0.5, 3.0, -2.0]))
        steps.append(draw(st.sampled_from([Rescale(factor), MeanShift(-1), MeanShift(1, value_range=3.0)])))
    return nn.Sequential(*steps[:2], nn.Sequential(*steps[2:]), nn.Identity())


@settings(max_examples=60, deadline=None)
@given(
    steps=ranges(),
    mode=st.sampled_from(PADDINGS),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padded=st.booleans(),
    bias=st.booleans(),
    size=st.tuples(st.integers(3, 6), st.integers(3, 6)),
)
def test_ranges_ahead_of_any_convolution_are_exact(
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


@settings(max_examples=30, deadline=None)
@given(
    steps=ranges(),
    factors=st.lists(st.sampled_from([2, 3]), max_size=2),
    mode=st.sampled_from(PADDINGS),
    bias=st.booleans(),
)
def test_ranges_behind_a_convolution_and_shuffles_are_exact(
    steps: nn.Module, factors: list[int], mode: str, bias: bool
) -> None:
    scale = int(torch.tensor([1, *factors]).prod())
    last = nn.Conv2d(6, 3 * scale**2, 3, padding=1, padding_mode=mode, bias=bias)
    tail = nn.Sequential(last, *(nn.PixelShuffle(factor) for factor in factors))
    net = around(scale=scale, upsampler=nn.Identity(), tail=tail, denormalize=steps, min_size=2)
    rewritten = checked(net, (2, 3), (5, 4), **ALONE)
    assert (kinds(rewritten), names(rewritten)) == ([], {"value_range_folding"})


def naive(net: Network) -> Network:
    """Fold the whole shift into the bias of the first convolution, as if nothing were padded."""
    weight = net.head.weight.clone()
    rewritten = optimize(net, **ALONE)
    rewritten.head.bias += torch.einsum(
        "o c h w, c -> o", rewritten.head.weight, -rewritten.normalise[0].color[:, 0, 0]
    )
    rewritten.normalise[0] = nn.Identity()
    assert torch.equal(net.head.weight, weight)
    return rewritten


@pytest.mark.parametrize("kernel", [3, 5])
def test_folding_the_shift_into_the_bias_would_be_wrong_at_the_border_alone(kernel: int) -> None:
    net = around(normalize=inside(), head=conv(3, 6, kernel), upsampler=conv(6, 12, 1), tail=nn.PixelShuffle(2))
    checked(net, **ALONE)
    lr = image(net, 11, 12)
    with torch.no_grad():
        error = (naive(net)(lr) - net(lr)).abs().amax((0, 1)) / net(lr).std()
    border = kernel // 2 * 2
    assert error[border:-border, border:-border].max() < 1e-12
    assert error[:border].min(1).values.max() > 1e-3
    assert min(error[:border].max(), error[-border:].max(), error[:, :border].max(), error[:, -border:].max()) > 1e-2


@pytest.mark.parametrize("mode", ["bicubic", "bilinear", "nearest"])
@pytest.mark.parametrize("border", ["symmetric", "replicate"])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_ranges_pass_an_interpolation_of_the_image(mode: str, border: str, scale: int) -> None:
    normalize, denormalize = normalization(3, 255, DIV2K_MEAN)
    upsampler = InterpolateUp(3, scale, mode=mode, border=border)
    slots = {"head": conv(3, 6, 5), "body": nn.Softplus(), "tail": conv(6, 3)}
    net = PreUpsampling(
        scale=scale, image_channels=3, upsampler=upsampler, normalize=normalize, denormalize=denormalize, **slots
    )
    assert kinds(checked(randomize(net), **ALONE)) == ["Subtract"]


def test_ranges_pass_a_fixed_resize() -> None:
    slots = {"upsampler": BicubicResize(3, 2), "head": conv(3, 6), "body": nn.Softplus(), "tail": conv(6, 3)}
    net = randomize(PreUpsampling(scale=2, image_channels=3, normalize=inside(), size_multiple=2, **slots))
    assert kinds(checked(net, **ALONE)) == ["Subtract"]


def test_an_image_that_a_skip_also_reads_keeps_its_range() -> None:
    normalize, denormalize = normalization(3, 255, DIV2K_MEAN)
    slots = {"upsampler": InterpolateUp(3, 2), "head": conv(3, 6), "body": nn.Softplus(), "tail": conv(6, 3)}
    net = PreUpsampling(
        scale=2, image_channels=3, image_skip=True, normalize=normalize, denormalize=denormalize, **slots
    )
    assert kinds(checked(randomize(net), **ALONE)) == ["MeanShift", "MeanShift", "Rescale", "Rescale"]
    skipped = around(normalize=inside(), head=conv(3, 6), image_skip=InterpolateUp(3, 2), denormalize=Rescale(0.5))
    assert names(checked(skipped, **ALONE)) == set()


class Halving(nn.PixelShuffle):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(0, 0.1)


class Absolute(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).abs()


class Clamped(Rescale):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(0, 0.7)


class Projecting(InterpolateUp):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).square()


LEFT_ALONE = {
    "grouped": lambda: around(normalize=inside(), head=conv(3, 6, groups=3)),
    "activation": lambda: around(normalize=nn.Sequential(inside(), nn.Softplus()), head=conv(3, 6)),
    "transposed": lambda: around(normalize=inside(), head=nn.ConvTranspose2d(3, 6, 3, padding=1)),
    "own convolution": lambda: around(normalize=inside(), head=Absolute(3, 6, 3, padding=1)),
    "own range": lambda: around(normalize=Clamped(0.5), head=conv(3, 6)),
    "padding": lambda: around(normalize=nn.Sequential(inside(), nn.ZeroPad2d(1)), head=nn.Conv2d(3, 6, 3)),
    "shuffle of its own": lambda: around(
        upsampler=conv(6, 12), tail=Halving(2), denormalize=nn.Sequential(Rescale(3.0), MeanShift(1))
    ),
    "shuffle ahead": lambda: around(
        head=nn.Sequential(conv(3, 12), nn.Softplus()), channels=3, body=nn.Sequential(nn.PixelShuffle(2), inside()),
        upsampler=nn.Identity(), tail=nn.Identity(),
    ),
    "resize of its own": lambda: randomize(
        PreUpsampling(
            scale=2, image_channels=3, normalize=inside(), upsampler=Projecting(3, 2), head=conv(3, 6),
            body=nn.Softplus(), tail=conv(6, 3),
        )
    ),
    "activated resize": lambda: randomize(
        PreUpsampling(
            scale=2, image_channels=3, normalize=inside(), upsampler=InterpolateUp(3, 2, act=nn.Softplus),
            head=conv(3, 6), body=nn.Softplus(), tail=conv(6, 3),
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("build", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_ranges_without_a_plain_convolution_beside_them_stay(build: object) -> None:
    assert names(checked(build(), **ALONE)) == set()


def test_the_report_says_what_was_kept_and_why() -> None:
    rewritten = checked(around(normalize=inside(), head=conv(3, 6)), **ALONE)
    assert "one subtraction; the rest folded into the convolution after it" in str(rewritten.rewrites)
    grouped = checked(around(normalize=inside(), head=conv(3, 6, groups=3)), **ALONE)
    (reason,) = reasons(grouped, "value_range_folding")
    assert reason.startswith("no ungrouped convolution next to it")


@pytest.mark.parametrize("step", ["mean shift", "rescale"])
def test_a_range_that_loses_a_color_is_exact(step: str) -> None:
    lossy = MeanShift(-1) if step == "mean shift" else nn.Sequential(Rescale(0.0), MeanShift(1))
    net = around(normalize=lossy, head=conv(3, 6))
    if isinstance(lossy, MeanShift):
        lossy.weight.fill_(0.25)
    checked(net, **ALONE)


def test_two_ranges_around_one_convolution_are_both_folded() -> None:
    net = around(head=nn.Sequential(inside(), conv(3, 3), MeanShift(1), Rescale(0.1), nn.Softplus(), conv(3, 6)))
    rewritten = checked(net, **ALONE)
    assert kinds(rewritten) == ["Subtract"]


def test_a_range_that_also_stands_elsewhere_stays_there() -> None:
    shared = Rescale(3.0)
    net = around(normalize=shared, head=conv(3, 6), body=nn.Sequential(nn.Softplus(), shared, nn.Softplus()))
    rewritten = checked(net, **ALONE)
    assert (names(rewritten), kinds(rewritten)) == ({"value_range_folding"}, ["Rescale"])

"""Transposed convolutions and nearest-neighbor upsampling rewritten as convolutions and pixel shuffles."""

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.rewriting import all_but, around, checked, names, reasons
from helpers.small_networks import randomize
from srblocks.blocks import conv
from srblocks.frameworks import PostUpsampling
from srblocks.network import Network
from srblocks.rewrites import transposed_convolution
from srblocks.upsampling import DeconvUp, InterpolateUp, NearestConvUp

DECONV = {"without": all_but("transposed_convolution")}
NEAREST = {"without": all_but("nearest_convolution")}


def upscaling(upsampler: nn.Module, scale: int, *, channels: int = 6, image_channels: int = 3) -> Network:
    """Return a network that ends in its upsampler."""
    head = nn.Sequential(conv(image_channels, channels), nn.Softplus())
    slots = {"head": head, "body": nn.Identity(), "upsampler": upsampler, "tail": nn.Identity()}
    return randomize(PostUpsampling(scale=scale, image_channels=image_channels, **slots))


@settings(max_examples=40, deadline=None)
@given(
    stride=st.integers(1, 5),
    kernel=st.integers(1, 13),
    padding=st.integers(0, 6),
    output_padding=st.integers(0, 4),
    groups=st.sampled_from([1, 1, 2]),
    bias=st.booleans(),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_transposed_convolutions_of_exact_output_size_are_rewritten(
    stride: int, kernel: int, padding: int, output_padding: int, groups: int, bias: bool, size: tuple[int, int]
) -> None:
    excess = kernel - 2 * padding + output_padding - stride
    assume(output_padding < stride and excess % 2 == 0 and padding + excess // 2 >= 0)
    padding += excess // 2
    deconv = nn.ConvTranspose2d(
        6, 4, kernel, stride=stride, padding=padding, output_padding=output_padding, groups=groups, bias=bias
    )
    net = upscaling(deconv, stride, image_channels=4)
    assert names(checked(net, (1, 1), size, **DECONV)) == {"transposed_convolution"}


@settings(max_examples=30, deadline=None)
@given(
    scale=st.integers(2, 5),
    kernel=st.integers(2, 13),
    padding=st.integers(0, 6),
    groups=st.sampled_from([1, 3]),
    bias=st.booleans(),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_deconv_up_is_rewritten_with_any_cropping_or_padding(
    scale: int, kernel: int, padding: int, groups: int, bias: bool, size: tuple[int, int]
) -> None:
    assume(kernel >= scale and scale - kernel + 2 * padding < scale)
    up = DeconvUp(
        6, scale, out_channels=3, kernel_size=kernel, padding=padding, groups=groups, bias=bias, act=nn.Softplus
    )
    rewritten = checked(upscaling(up, scale), (1, 1), size, **DECONV)
    given = kernel - scale - 2 * padding + up.deconv.output_padding[0] - up.excess
    assert (names(rewritten) == {"transposed_convolution"}) is (given == 0)
    assert not any(isinstance(layer, nn.ConvTranspose2d) for layer in rewritten.modules())


def test_report_names_the_kernel_of_fsrcnn() -> None:
    up = DeconvUp(6, 3, out_channels=1, kernel_size=9, padding=4)
    rewritten = checked(upscaling(up, 3, image_channels=1), **DECONV)
    assert str(rewritten.rewrites).endswith("3x3 convolution to 9 channels and pixel shuffle x3")


class Negated(nn.ConvTranspose2d):
    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return -super().forward(x, output_size)


TRANSPOSED = {
    "wide": lambda: nn.ConvTranspose2d(6, transposed_convolution.IMAGE_CHANNELS + 1, 4, stride=2, padding=1),
    "one too many": lambda: nn.Sequential(nn.ConvTranspose2d(6, 3, 5, stride=2, padding=1), nn.AvgPool2d(2, 1)),
    "dilated": lambda: nn.ConvTranspose2d(6, 3, 2, stride=2, dilation=3, padding=1),
    "oblong": lambda: nn.ConvTranspose2d(6, 3, (4, 2), stride=2, padding=(1, 0)),
    "unequal strides": lambda: nn.Sequential(
        nn.ConvTranspose2d(6, 3, (4, 3), stride=(2, 1), padding=1), nn.Upsample(scale_factor=(1.0, 2.0))
    ),
    "custom": lambda: Negated(6, 3, 4, stride=2, padding=1),
}


def test_other_transposed_convolutions_are_kept() -> None:
    for case, build in TRANSPOSED.items():
        up = build()
        out = 5 if isinstance(up, nn.ConvTranspose2d) and up.out_channels == 5 else 3
        rewritten = checked(around(upsampler=up, tail=conv(out, 3)), case=case, **DECONV)
        assert names(rewritten) == set(), case
        assert any(isinstance(layer, nn.ConvTranspose2d) for layer in rewritten.modules()), case


class Sized(nn.Module):
    """A transposed convolution with an explicit output size."""

    def __init__(self) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(6, 3, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.deconv(x, output_size=[2 * x.shape[2], 2 * x.shape[3]])


def test_transposed_convolution_with_explicit_output_size_is_exact() -> None:
    checked(upscaling(Sized(), 2), **DECONV)


def test_shared_transposed_convolution_is_rewritten_in_both_places() -> None:
    down = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 6, 1))
    for up in (DeconvUp(6, 2, out_channels=3, kernel_size=3, padding=0), nn.ConvTranspose2d(6, 3, 4, 2, 1)):
        rewritten = checked(upscaling(nn.Sequential(up, down, up), 2), **DECONV)
        assert not any(isinstance(layer, nn.ConvTranspose2d) for layer in rewritten.modules())


@settings(max_examples=25, deadline=None)
@given(
    scale=st.integers(2, 5),
    channels=st.sampled_from([(6, 4, 1), (6, 6, 1), (6, 6, 6), (6, 9, 3)]),
    bias=st.booleans(),
    project=st.booleans(),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
def test_nearest_upsampling_before_a_3x3_convolution_is_rewritten(
    scale: int, channels: tuple[int, int, int], bias: bool, project: bool, size: tuple[int, int]
) -> None:
    inner, out, groups = channels
    resize = InterpolateUp(5 if project else inner, scale, out_channels=inner, mode="nearest")
    up = nn.Sequential(resize, conv(inner, out, bias=bias, groups=groups), nn.Softplus(), conv(out, 3, 1))
    net = upscaling(up, scale, channels=5 if project else inner)
    rewritten = checked(net, (1, 1), size, **NEAREST)
    assert names(rewritten) == {"nearest_convolution"}
    assert not any(isinstance(layer, InterpolateUp) for layer in rewritten.modules())


def test_upsampler_of_esrgan_is_rewritten_step_by_step() -> None:
    for scale in (2, 4, 6):
        up = NearestConvUp(6, scale, out_channels=3, act=nn.LeakyReLU)
        rewritten = checked(upscaling(up, scale), case=scale, **NEAREST)
        assert len(rewritten.rewrites.applied) == len(up) // 3, scale


class Sharpened(InterpolateUp):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).square()


def nearest(scale: int = 2, **options: object) -> InterpolateUp:
    return InterpolateUp(6, scale, mode="nearest", **options)


RESIZED = {
    "bilinear": lambda: (InterpolateUp(6, 2, mode="bilinear"), conv(6, 3)),
    "activated": lambda: (nearest(act=nn.Softplus), conv(6, 3)),
    "activation between": lambda: (nearest(), nn.Softplus(), conv(6, 3)),
    "5x5": lambda: (nearest(), conv(6, 3, 5)),
    "1x1": lambda: (nearest(), conv(6, 3, 1)),
    "reflecting": lambda: (nearest(), conv(6, 3, padding_mode="reflect")),
    "dilated": lambda: (nearest(), conv(6, 3, dilation=2)),
    "strided": lambda: (nearest(4), nn.Conv2d(6, 3, 3, stride=2, padding=1)),
    "custom": lambda: (Sharpened(6, 2, mode="nearest"), conv(6, 3)),
    "not resized": lambda: (nearest(1), conv(6, 12), nn.PixelShuffle(2)),
}


def test_other_upsamplers_are_kept() -> None:
    for case, build in RESIZED.items():
        rewritten = checked(upscaling(nn.Sequential(*build()), 2), (2, 2), (5, 4), case=case, **NEAREST)
        assert names(rewritten) == set(), case


def test_report_explains_why_an_upsampler_is_kept() -> None:
    rewritten = checked(upscaling(nn.Sequential(*RESIZED["5x5"]()), 2), **NEAREST)
    assert reasons(rewritten, "nearest_convolution") == ["no zero-padded 3x3 convolution after it"]
    deconv = checked(around(upsampler=nn.ConvTranspose2d(6, 6, 4, stride=2, padding=1)), **DECONV)
    assert reasons(deconv, "transposed_convolution") == [
        "it upscales wide features; consider the channels_last memory format"
    ]


def test_padding_before_nearest_upsampling_would_double_the_border() -> None:
    net = upscaling(nn.Sequential(nearest(), conv(6, 3)), 2)
    rewritten = checked(net, **NEAREST)
    shuffled = rewritten.upsampler[1]
    lr = torch.rand(1, 3, 5, 6, dtype=torch.float64)
    with torch.no_grad():
        uncropped = nn.functional.pixel_shuffle(shuffled.conv(rewritten.head(lr)), 2)
        assert (uncropped[:, :, :-2, :-2] - net(lr)).abs().max() > 1e-2

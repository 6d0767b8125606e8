import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from srblocks.resize import imresize
from srblocks.upsampling import BicubicResize, InterpolateUp

FACTORS = [(2, 1), (3, 1), (4, 1), (8, 1), (3, 4)]
SIZES = st.integers(2, 12)
MODES = ["bicubic", "bilinear", "nearest"]


def matlab(x: Tensor, up: int, down: int = 1) -> Tensor:
    pixels = x.flatten(0, 1).permute(1, 2, 0).numpy()
    resized = imresize(pixels, up / down)
    return torch.from_numpy(np.ascontiguousarray(resized)).permute(2, 0, 1).view(*x.shape[:2], *resized.shape[:2])


def assert_equal_in_float64(value: Tensor, reference: Tensor) -> None:
    torch.testing.assert_close(value, reference, rtol=0, atol=1e-12)


def test_impulse_response_equals_the_kernel() -> None:
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 3, :] = 1
    # Keys' kernel with a = -1/2 at the distances 1.75, 1.25, 0.75 and 0.25.
    half = [-0.0234375, -0.0703125, 0.2265625, 0.8671875]
    expected = [0.0] * 3 + half + half[::-1] + [0.0] * 5
    assert BicubicResize(1, 2)(x)[0, 0, :, 5].tolist() == expected


@settings(max_examples=25, deadline=None)
@given(factor=st.sampled_from(FACTORS), channels=st.integers(1, 3), height=SIZES, width=SIZES)
def test_bicubic_resize_matches_matlab(factor: tuple[int, int], channels: int, height: int, width: int) -> None:
    up, down = factor
    x = torch.rand(2, channels, height * down, width * down, dtype=torch.float64)
    y = BicubicResize(channels, up, down).double()(x)
    assert y.shape == (2, channels, height * up, width * up)
    assert_equal_in_float64(y, matlab(x, up, down))


@settings(max_examples=15, deadline=None)
@given(up=st.integers(2, 8), channels=st.integers(1, 3), height=st.integers(1, 12), width=st.integers(1, 12))
def test_replicated_border_matches_torch(up: int, channels: int, height: int, width: int) -> None:
    x = torch.rand(2, channels, height, width, dtype=torch.float64)
    expected = F.interpolate(x, scale_factor=up, mode="bicubic", align_corners=False)
    for factory in (BicubicResize, InterpolateUp):
        resize = factory(channels, up, a=-0.75, border="replicate").double()
        assert resize.min_size == 1
        assert_equal_in_float64(resize(x), expected)


@settings(max_examples=15, deadline=None)
@given(
    factor=st.sampled_from(FACTORS),
    border=st.sampled_from(["symmetric", "replicate"]),
    value=st.floats(0.001, 255),
    height=SIZES,
    width=SIZES,
)
def test_constant_images_stay_constant(
    *, factor: tuple[int, int], border: str, value: float, height: int, width: int
) -> None:
    up, down = factor
    x = torch.full((1, 1, height * down, width * down), value, dtype=torch.float64)
    y = BicubicResize(1, up, down, border=border).double()(x)
    torch.testing.assert_close(y, torch.full_like(y, value), rtol=1e-14, atol=0)


def test_casting_keeps_the_kernel_exact() -> None:
    x = torch.rand(1, 3, 6, 5, dtype=torch.float64)
    assert_equal_in_float64(BicubicResize(3, 3).half().double()(x), matlab(x, 3))
    assert_equal_in_float64(BicubicResize(3, 3).bfloat16().float().double()(x), matlab(x, 3))
    exact = BicubicResize(3, 3).double().kernel
    assert torch.equal(BicubicResize(3, 3).double().float().kernel, exact.float())


def test_default_dtype() -> None:
    assert BicubicResize(1, 2).kernel.dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        x = torch.rand(1, 1, 4, 3)
        assert_equal_in_float64(BicubicResize(1, 2)(x), matlab(x, 2))
    finally:
        torch.set_default_dtype(torch.float32)


def test_meta_device() -> None:
    with torch.device("meta"):
        resize = BicubicResize(3, 3, 4)
        inside = BicubicResize(3, 3, 4).to_empty(device="cpu")
    assert resize.kernel.is_meta
    for filled in (inside, resize.to_empty(device="cpu")):
        assert torch.equal(filled.kernel, BicubicResize(3, 3, 4).kernel)


def test_kernel_is_not_a_parameter_and_not_saved() -> None:
    resize = BicubicResize(3, 2)
    assert not list(resize.parameters())
    assert not resize.state_dict()
    assert repr(resize) == "BicubicResize(channels=3, up=2, down=1, a=-0.5, border='symmetric')"


def test_invalid_arguments_raise() -> None:
    for up, down in ((1, 1), (1, 2), (1, 4)):
        message = f"^BicubicResize: up/down must be an integer above 1, or 3/4, got {up}/{down}$"
        with pytest.raises(ValueError, match=message):
            BicubicResize(1, up, down)
    with pytest.raises(ValueError, match="^BicubicResize: up and down must be integers >= 1, got 0 and 1$"):
        BicubicResize(1, 0)
    with pytest.raises(ValueError, match="^BicubicResize: channels must be >= 1, got 0$"):
        BicubicResize(0, 2)
    for factory in (BicubicResize, InterpolateUp):
        with pytest.raises(ValueError, match="^border must be 'symmetric' or 'replicate', got 'zeros'$"):
            factory(1, 2, border="zeros")
    with pytest.raises(ValueError, match="mode must be 'bicubic', 'bilinear' or 'nearest', got 'area'$"):
        InterpolateUp(3, 2, mode="area")
    for scale in (0, 1.5, True):
        with pytest.raises(ValueError, match=f"^InterpolateUp: scale must be an integer >= 1, got {scale}$"):
            InterpolateUp(3, scale)


def test_scale_one_is_the_identity() -> None:
    x = torch.rand(2, 3, 1, 4)
    for mode in MODES:
        up = InterpolateUp(3, 1, mode=mode)
        assert torch.equal(up(x), x)
        assert up.min_size == 1


@settings(max_examples=15, deadline=None)
@given(scale=st.integers(1, 5), channels=st.integers(1, 3), height=st.integers(1, 9), width=st.integers(1, 9))
def test_nearest_repeats_pixels_and_bilinear_matches_torch(scale: int, channels: int, height: int, width: int) -> None:
    x = torch.rand(2, channels, height, width, dtype=torch.float64)
    repeated = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert torch.equal(InterpolateUp(channels, scale, mode="nearest")(x), repeated)
    assert torch.equal(InterpolateUp(channels, scale, mode="nearest")(x), F.interpolate(x, scale_factor=scale))
    bilinear = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    assert_equal_in_float64(InterpolateUp(channels, scale, mode="bilinear")(x), bilinear)


@settings(max_examples=10, deadline=None)
@given(scale=st.integers(2, 5), height=SIZES, width=SIZES)
def test_bicubic_mode_matches_matlab_by_default(scale: int, height: int, width: int) -> None:
    x = torch.rand(1, 2, height, width, dtype=torch.float64)
    up = InterpolateUp(2, scale).double()
    assert_equal_in_float64(up(x), matlab(x, scale))
    assert up.min_size == 2

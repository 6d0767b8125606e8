from functools import partial

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


def test_an_impulse_is_answered_by_the_kernel() -> None:
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 3, :] = 1
    # Keys' kernel with a = -1/2 at the distances 1.75, 1.25, 0.75 and 0.25.
    half = [-0.0234375, -0.0703125, 0.2265625, 0.8671875]
    expected = [0.0] * 3 + half + half[::-1] + [0.0] * 5
    assert BicubicResize(1, 2)(x)[0, 0, :, 5].tolist() == expected


@pytest.mark.parametrize("up,down", FACTORS)
@settings(max_examples=25, deadline=None)
@given(channels=st.integers(1, 3), height=SIZES, width=SIZES)
def test_it_is_matlabs_imresize(up: int, down: int, channels: int, height: int, width: int) -> None:
    x = torch.rand(2, channels, height * down, width * down, dtype=torch.float64)
    y = BicubicResize(channels, up, down).double()(x)
    assert y.shape == (2, channels, height * up, width * up)
    assert_equal_in_float64(y, matlab(x, up, down))


@pytest.mark.parametrize("factory", [BicubicResize, InterpolateUp])
@settings(max_examples=25, deadline=None)
@given(up=st.integers(2, 8), channels=st.integers(1, 3), height=st.integers(1, 12), width=st.integers(1, 12))
def test_with_a_replicated_border_it_is_torchs_interpolation(
    factory: type, up: int, channels: int, height: int, width: int
) -> None:
    x = torch.rand(2, channels, height, width, dtype=torch.float64)
    resize = factory(channels, up, a=-0.75, border="replicate").double()
    assert resize.min_size == 1
    assert_equal_in_float64(resize(x), F.interpolate(x, scale_factor=up, mode="bicubic", align_corners=False))


@pytest.mark.parametrize("border", ["symmetric", "replicate"])
@pytest.mark.parametrize("up,down", FACTORS)
@settings(max_examples=10, deadline=None)
@given(value=st.floats(0.001, 255), height=SIZES, width=SIZES)
def test_constant_images_stay_constant(
    *, up: int, down: int, border: str, value: float, height: int, width: int
) -> None:
    x = torch.full((1, 1, height * down, width * down), value, dtype=torch.float64)
    y = BicubicResize(1, up, down, border=border).double()(x)
    torch.testing.assert_close(y, torch.full_like(y, value), rtol=1e-14, atol=0)


def test_its_kernel_stays_exact_through_casts() -> None:
    x = torch.rand(1, 3, 6, 5, dtype=torch.float64)
    assert_equal_in_float64(BicubicResize(3, 3).half().double()(x), matlab(x, 3))
    assert_equal_in_float64(BicubicResize(3, 3).bfloat16().float().double()(x), matlab(x, 3))
    exact = BicubicResize(3, 3).double().kernel
    assert torch.equal(BicubicResize(3, 3).double().float().kernel, exact.float())


def test_it_takes_the_default_dtype() -> None:
    assert BicubicResize(1, 2).kernel.dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        x = torch.rand(1, 1, 4, 3)
        assert_equal_in_float64(BicubicResize(1, 2)(x), matlab(x, 2))
    finally:
        torch.set_default_dtype(torch.float32)


def test_it_survives_the_meta_device() -> None:
    with torch.device("meta"):
        resize = BicubicResize(3, 3, 4)
        inside = BicubicResize(3, 3, 4).to_empty(device="cpu")
    assert resize.kernel.is_meta
    for filled in (inside, resize.to_empty(device="cpu")):
        assert torch.equal(filled.kernel, BicubicResize(3, 3, 4).kernel)


def test_its_kernel_is_neither_trained_nor_saved() -> None:
    resize = BicubicResize(3, 2)
    assert not list(resize.parameters())
    assert not resize.state_dict()
    assert repr(resize) == "BicubicResize(channels=3, up=2, down=1, border='symmetric')"


def test_an_unknown_border_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^border='zeros' is unknown; use 'symmetric' or 'replicate'$"):
        BicubicResize(1, 2, border="zeros")


@pytest.mark.parametrize("up,down", [(1, 1), (1, 2), (1, 4)])
def test_a_factor_whose_kernel_reaches_too_far_is_refused(up: int, down: int) -> None:
    message = f"^BicubicResize: the factor {up}/{down} is not supported; use an integer above 1, or 3/4$"
    with pytest.raises(ValueError, match=message):
        BicubicResize(1, up, down)


@pytest.mark.parametrize("mode", MODES)
def test_scale_one_is_the_identity(mode: str) -> None:
    x = torch.rand(2, 3, 1, 4)
    up = InterpolateUp(3, 1, mode=mode)
    assert torch.equal(up(x), x)
    assert up.min_size == 1


@settings(max_examples=25, deadline=None)
@given(scale=st.integers(1, 5), channels=st.integers(1, 3), height=st.integers(1, 9), width=st.integers(1, 9))
def test_nearest_repeats_pixels_and_bilinear_is_torchs(scale: int, channels: int, height: int, width: int) -> None:
    x = torch.rand(2, channels, height, width, dtype=torch.float64)
    repeated = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert torch.equal(InterpolateUp(channels, scale, mode="nearest")(x), repeated)
    assert torch.equal(InterpolateUp(channels, scale, mode="nearest")(x), F.interpolate(x, scale_factor=scale))
    bilinear = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    assert_equal_in_float64(InterpolateUp(channels, scale, mode="bilinear")(x), bilinear)


@settings(max_examples=10, deadline=None)
@given(scale=st.integers(2, 5), height=SIZES, width=SIZES)
def test_bicubic_mode_is_matlabs_by_default(scale: int, height: int, width: int) -> None:
    x = torch.rand(1, 2, height, width, dtype=torch.float64)
    up = InterpolateUp(2, scale).double()
    assert_equal_in_float64(up(x), matlab(x, scale))
    assert up.min_size == 2


def test_unknown_modes_borders_and_scales_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mode='area' is unknown; use 'bicubic', 'bilinear' or 'nearest'$"):
        InterpolateUp(3, 2, mode="area")
    with pytest.raises(ValueError, match=r"border='zeros' is unknown; use 'symmetric' or 'replicate'$"):
        InterpolateUp(3, 2, border="zeros")
    with pytest.raises(ValueError, match=r"^InterpolateUp: scale=0 is no enlargement; use an integer of 1 or more$"):
        InterpolateUp(3, 0)


ALL = [partial(BicubicResize, up=up, down=down) for up, down in FACTORS]
ALL += [partial(InterpolateUp, scale=3, mode=mode) for mode in MODES]
ALL += [partial(InterpolateUp, scale=1), partial(BicubicResize, up=2, border="replicate")]


@pytest.mark.parametrize("factory", ALL)
def test_input_is_left_alone_gradients_are_right_and_the_script_computes_the_same(factory: partial) -> None:
    module = factory(2)
    scripted = torch.jit.script(module)
    for size in ((4, 4), (8, 12)):
        x = torch.rand(1, 2, *size)
        torch.testing.assert_close(scripted(x), module(x))
    x = torch.rand(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    before = x.detach().clone()
    assert torch.autograd.gradcheck(module.double(), x)
    assert torch.equal(x, before)

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.metrics import structural_similarity
from torch.nn import functional as F

from srblocks.color import rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb
from srblocks.metrics import psnr, ssim
from srblocks.resize import imresize

SET5 = ("baby", "bird", "butterfly", "head", "woman")
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 12)
ZERO = np.zeros((16, 12))


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def cropped(image: np.ndarray, scale: int) -> np.ndarray:
    return image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]


@pytest.fixture(scope="module")
def set5(data: Path) -> dict[str, np.ndarray]:
    return {name: opened(data / "images" / "Set5" / f"{name}_GT.bmp") for name in SET5}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", SET5)
def test_imresize_reproduces_matlabs_pictures(data: Path, set5: dict[str, np.ndarray], name: str, scale: int) -> None:
    published = opened(data / "images" / "Set5_LR" / f"x{scale}" / f"{name}x{scale}.bmp")
    assert np.array_equal(imresize(cropped(set5[name], scale), 1 / scale), published)


@pytest.mark.parametrize("scale,figure,published", [(2, 33.673, 33.66), (3, 30.403, 30.39), (4, 28.429, 28.42)])
def test_bicubic_row_of_set5_from_uint8_pictures(
    set5: dict[str, np.ndarray], scale: int, figure: float, published: float
) -> None:
    originals = [cropped(image, scale) for image in set5.values()]
    ups = [imresize(imresize(hr, 1 / scale), scale) for hr in originals]
    mean = np.mean([psnr(rgb_to_y(up), rgb_to_y(hr), crop_border=scale) for up, hr in zip(ups, originals, strict=True)])
    assert mean == pytest.approx(figure, abs=0.001)
    assert mean == pytest.approx(published, abs=0.02)


@pytest.mark.parametrize("scale,figure", [(2, 33.656), (3, 30.390), (4, 28.420)])
def test_bicubic_row_of_set5_from_unrounded_luma(set5: dict[str, np.ndarray], scale: int, figure: float) -> None:
    lumas = [rgb_to_y(cropped(image, scale)) for image in set5.values()]
    pairs = [(imresize(imresize(luma, 1 / scale), scale), luma) for luma in lumas]
    figures = [psnr(*(np.round(image * 255) / 255 for image in pair), crop_border=scale) for pair in pairs]
    assert np.mean(figures) == pytest.approx(figure, abs=0.001)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, factor=st.sampled_from([0.25, 0.5, 0.75, 2, 3, 4]))
def test_inside_it_is_torchs_antialiased_interpolation(seed: int, factor: float) -> None:
    image = torch.from_numpy(np.random.default_rng(seed).random((40, 48)))
    expected = F.interpolate(image[None, None], scale_factor=factor, mode="bicubic", antialias=True)[0, 0].numpy()
    border = math.ceil(2 * max(factor, 1))
    resized = imresize(image.numpy(), factor)[border:-border, border:-border]
    np.testing.assert_allclose(resized, expected[border:-border, border:-border], rtol=0, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, height=SIZES, width=SIZES, scale=st.sampled_from([2, 3, 4]))
def test_border_is_mirrored(seed: int, height: int, width: int, scale: int) -> None:
    image = np.random.default_rng(seed).random((height, width))
    wide = imresize(np.pad(image, 4, mode="symmetric"), scale)
    inside = slice(4 * scale, -4 * scale)
    np.testing.assert_allclose(imresize(image, scale), wide[inside, inside], rtol=0, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, height=SIZES, width=SIZES, factor=st.sampled_from([0.25, 1 / 3, 0.5, 0.75, 1, 1.5, 2, 3, 4]))
def test_size_is_rounded_up_and_channels_are_independent(seed: int, height: int, width: int, factor: float) -> None:
    image = np.random.default_rng(seed).random((height, width, 3))
    before = image.copy()
    resized = imresize(image, factor)
    assert resized.shape == (math.ceil(factor * height), math.ceil(factor * width), 3)
    assert np.array_equal(image, before)
    planes = [imresize(image[..., channel], factor) for channel in range(3)]
    np.testing.assert_allclose(resized, np.stack(planes, -1), rtol=0, atol=1e-14)
    np.testing.assert_allclose(imresize(np.full((height, width), 0.7), factor), 0.7, rtol=1e-14)
    sides = imresize(image, size=(2 * height, 5))
    one_by_one = imresize(imresize(image, size=(2 * height, width)), size=(2 * height, 5))
    np.testing.assert_allclose(sides, one_by_one, rtol=0, atol=1e-14)


def test_uint8_is_rounded_half_up_and_clipped_and_floats_are_not() -> None:
    edge = np.tile(np.repeat([[0], [255]], 4, axis=0), 4)
    resized, exact = imresize(edge.astype(np.uint8), 2), imresize(edge.astype(np.float32), 2)
    assert (resized.dtype, exact.dtype) == (np.uint8, np.float64)
    assert exact.min() < 0 and exact.max() > 255
    assert np.array_equal(resized, np.clip(np.floor(exact + 0.5), 0, 255))
    assert imresize(np.array([[0, 1], [0, 1]], np.uint8), 0.5).tolist() == [[1]]


def test_colors_have_their_studio_range_values() -> None:
    white_black_gray_red_green = np.array([[255] * 3, [0] * 3, [51] * 3, [255, 0, 0], [0, 255, 0]], np.uint8)
    published = [[235, 128, 128], [16, 128, 128], [59.8, 128, 128], [81.481, 90.203, 240], [144.553, 53.797, 34.214]]
    np.testing.assert_allclose(rgb_to_ycbcr(white_black_gray_red_green) * 255, published, rtol=0, atol=1e-12)
    np.testing.assert_allclose(rgb_to_y(white_black_gray_red_green / 255) * 255, np.array(published)[:, 0], atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, shape=st.lists(st.integers(1, 5), max_size=3))
def test_ycbcr_goes_there_and_back(seed: int, shape: list[int]) -> None:
    rgb = np.random.default_rng(seed).random((*shape, 3))
    ycbcr = rgb_to_ycbcr(rgb)
    assert ((ycbcr * 255 > 15.999) & (ycbcr * 255 < 240.001)).all()
    assert np.array_equal(rgb_to_y(rgb), ycbcr[..., 0])
    np.testing.assert_allclose(ycbcr_to_rgb(ycbcr), rgb, rtol=0, atol=1e-14)


def test_hand_computed_psnr_and_ssim() -> None:
    black = np.zeros((11, 11), np.uint8)
    assert (psnr(black, black), ssim(black, black)) == (math.inf, 1)
    assert psnr(black, black + np.uint8(255)) == 0
    assert psnr(black, black + np.uint8(1)) == pytest.approx(20 * math.log10(255), abs=1e-12)
    assert psnr(np.zeros((2, 2, 1)), np.array([[[0.2], [0]], [[0], [0]]])) == pytest.approx(20, abs=1e-12)
    # Without structure only the luminance term is left: (2 * 0 * 1 + c1) / (0 + 1 + c1).
    assert ssim(black, black + np.uint8(255)) == pytest.approx(1e-4 / (1 + 1e-4), rel=1e-9)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_the_border_does_not_count(measure: Callable[..., float]) -> None:
    image = np.random.default_rng(0).random((17, 15))
    framed = np.pad(image[2:-2, 2:-2], 2, constant_values=0.5)
    assert measure(framed, image, crop_border=1) < measure(framed, image, crop_border=2) == measure(image, image)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, height=st.integers(11, 30), width=st.integers(11, 30), noise=st.floats(0, 1))
def test_ssim_is_scikit_images_inside_the_image(seed: int, height: int, width: int, noise: float) -> None:
    generator = np.random.default_rng(seed)
    image = generator.random((height, width))
    other = np.clip(image + noise * generator.standard_normal(image.shape), 0, 1)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1, "full": True}
    _, everywhere = structural_similarity(image, other, **options)
    assert ssim(image, other) == pytest.approx(everywhere[5:-5, 5:-5].mean(), abs=1e-10)


@pytest.mark.parametrize(
    "call,message",
    [
        (lambda: imresize(ZERO[0], 2), r"imresize: an image of shape \(12,\); give \(H, W\) or \(H, W, C\)"),
        (lambda: imresize(ZERO), "imresize: give either scale, or size as .*"),
        (lambda: imresize(ZERO, 2, size=(8, 8)), "imresize: give either scale, or size as .*"),
        (lambda: imresize(ZERO, 0), "imresize: scale=0 is not positive and finite"),
        (lambda: imresize(ZERO, size=(2, 0)), "imresize: cannot resize 16x12 to 2x0; give sides of 1 pixel or more"),
        (lambda: imresize(ZERO[:0], size=(2, 2)), r"imresize: an image of shape \(0, 12\) has no pixels"),
        (lambda: psnr(ZERO, ZERO.T), r"images of shapes \(16, 12\) and \(12, 16\) cannot be compared"),
        (lambda: psnr(ZERO, ZERO, crop_border=-1), r"crop_border=-1 leaves nothing of an image of shape \(16, 12\)"),
        (lambda: ssim(ZERO, ZERO, crop_border=6), r"crop_border=6 leaves nothing of an image of shape \(16, 12\)"),
        (
            lambda: psnr(ZERO, ZERO.astype(np.uint8)),
            r"images of float64 and uint8 cannot be compared; give both .*",
        ),
        (
            lambda: ssim(ZERO, ZERO, crop_border=1),
            r"ssim: .* shape \(14, 10\) is not one channel of at least 11x11 pixels",
        ),
        (lambda: ssim(*[np.zeros((16, 16, 3))] * 2), r"ssim: .* shape \(16, 16, 3\) is not one channel of at least .*"),
    ],
)
def test_impossible_requests_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}(; .+)?$"):
        call()


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_floats_of_0_to_255_are_refused(measure: Callable[..., float]) -> None:
    picture = np.random.default_rng(0).random((16, 16))
    with pytest.raises(ValueError, match=r"a reference with values up to 2\d\d.*; give images in \[0, 1\]"):
        measure(255 * picture, 255 * picture)
    assert measure(2.5 * picture, picture) < 20


def test_white_against_black_is_zero_decibels() -> None:
    assert str(psnr(np.zeros((8, 8)), np.ones((8, 8)))) == "0.0"

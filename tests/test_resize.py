"""MATLAB-compatible resizing compared with published images and torch."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

from srblocks.color import rgb_to_y
from srblocks.metrics import psnr
from srblocks.resize import downscaled_pair, imresize

SET5 = ("baby", "bird", "butterfly", "head", "woman")
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 12)
ZERO = np.zeros((16, 12))


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def cropped(image: np.ndarray, scale: int) -> np.ndarray:
    return image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]


@pytest.fixture(scope="module")
def set5(data: Path) -> dict[str, np.ndarray]:
    return {name: read(data / "images" / "Set5" / f"{name}_GT.bmp") for name in SET5}


def test_imresize_matches_matlab(data: Path, set5: dict[str, np.ndarray]) -> None:
    for scale in (2, 3, 4):
        for name, image in set5.items():
            published = read(data / "images" / "Set5_LR" / f"x{scale}" / f"{name}x{scale}.bmp")
            assert np.array_equal(imresize(cropped(image, scale), 1 / scale), published), (name, scale)


@pytest.mark.parametrize("scale,measured,published", [(2, 33.673, 33.66), (3, 30.403, 30.39), (4, 28.429, 28.42)])
def test_bicubic_psnr_on_set5_from_uint8_images(
    set5: dict[str, np.ndarray], scale: int, measured: float, published: float
) -> None:
    originals = [cropped(image, scale) for image in set5.values()]
    ups = [imresize(imresize(hr, 1 / scale), scale) for hr in originals]
    mean = np.mean([psnr(rgb_to_y(up), rgb_to_y(hr), crop_border=scale) for up, hr in zip(ups, originals, strict=True)])
    assert mean == pytest.approx(measured, abs=0.001)
    assert mean == pytest.approx(published, abs=0.02)


@pytest.mark.parametrize("scale,measured", [(2, 33.656), (3, 30.390), (4, 28.420)])
def test_bicubic_psnr_on_set5_from_unrounded_luma(set5: dict[str, np.ndarray], scale: int, measured: float) -> None:
    lumas = [rgb_to_y(cropped(image, scale)) for image in set5.values()]
    pairs = [(imresize(imresize(luma, 1 / scale), scale), luma) for luma in lumas]
    psnrs = [psnr(*(np.round(image * 255) / 255 for image in pair), crop_border=scale) for pair in pairs]
    assert np.mean(psnrs) == pytest.approx(measured, abs=0.001)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, factor=st.sampled_from([0.25, 0.5, 0.75, 2, 3, 4]))
def test_interior_matches_antialiased_interpolation_of_torch(seed: int, factor: float) -> None:
    image = torch.from_numpy(np.random.default_rng(seed).random((40, 48)))
    expected = F.interpolate(image[None, None], scale_factor=factor, mode="bicubic", antialias=True)[0, 0].numpy()
    border = math.ceil(2 * max(factor, 1))
    resized = imresize(image.numpy(), factor)[border:-border, border:-border]
    np.testing.assert_allclose(resized, expected[border:-border, border:-border], rtol=0, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, height=SIZES, width=SIZES, scale=st.sampled_from([2, 3, 4]))
def test_border_is_mirrored(seed: int, height: int, width: int, scale: int) -> None:
    image = np.random.default_rng(seed).random((height, width))
    wide = imresize(np.pad(image, 4, mode="symmetric"), scale)
    inside = slice(4 * scale, -4 * scale)
    np.testing.assert_allclose(imresize(image, scale), wide[inside, inside], rtol=0, atol=1e-13)


@settings(max_examples=15, deadline=None)
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


def test_only_uint8_is_rounded_and_clipped() -> None:
    edge = np.tile(np.repeat([[0], [255]], 4, axis=0), 4)
    resized, exact = imresize(edge.astype(np.uint8), 2), imresize(edge.astype(np.float32), 2)
    assert (resized.dtype, exact.dtype) == (np.uint8, np.float64)
    assert exact.min() < 0 and exact.max() > 255
    assert np.array_equal(resized, np.clip(np.floor(exact + 0.5), 0, 255))
    assert imresize(np.array([[0, 1], [0, 1]], np.uint8), 0.5).tolist() == [[1]]


def test_invalid_arguments_raise() -> None:
    with pytest.raises(ValueError, match=r"imresize: expected an image \(H, W\) or \(H, W, C\), got shape \(12,\)"):
        imresize(ZERO[0], 2)
    for arguments in ({}, {"scale": 2, "size": (8, 8)}):
        with pytest.raises(ValueError, match=r"imresize: pass either scale or size=\(height, width\)"):
            imresize(ZERO, **arguments)
    with pytest.raises(ValueError, match="imresize: scale must be positive and finite, got 0"):
        imresize(ZERO, 0)
    with pytest.raises(ValueError, match="imresize: cannot resize 16x12 to 2x0; both sides must be >= 1 pixel"):
        imresize(ZERO, size=(2, 0))
    with pytest.raises(ValueError, match=r"imresize: the image has no pixels \(shape \(0, 12\)\)"):
        imresize(ZERO[:0], size=(2, 2))
    with pytest.raises(ValueError, match=r"downscaled_pair: the image \(shape \(16, 12\)\) is smaller than scale 13"):
        downscaled_pair(ZERO, 13)

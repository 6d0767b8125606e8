"""PSNR and SSIM compared with hand-computed values and scikit-image."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srblocks.metrics import psnr, ssim

ZERO = np.zeros((16, 12))


def test_hand_computed_psnr_and_ssim() -> None:
    black = np.zeros((11, 11), np.uint8)
    assert (psnr(black, black), ssim(black, black)) == (math.inf, 1)
    assert psnr(black, black + np.uint8(255)) == 0
    assert psnr(black, black + np.uint8(1)) == pytest.approx(20 * math.log10(255), abs=1e-12)
    assert psnr(np.zeros((2, 2, 1)), np.array([[[0.2], [0]], [[0], [0]]])) == pytest.approx(20, abs=1e-12)
    # Constant images leave only the luminance term: (2 * 0 * 1 + c1) / (0 + 1 + c1).
    assert ssim(black, black + np.uint8(255)) == pytest.approx(1e-4 / (1 + 1e-4), rel=1e-9)


def test_border_is_cropped() -> None:
    image = np.random.default_rng(0).random((17, 15))
    framed = np.pad(image[2:-2, 2:-2], 2, constant_values=0.5)
    for measure in (psnr, ssim):
        assert measure(framed, image, crop_border=1) < measure(framed, image, crop_border=2) == measure(image, image)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(11, 30), width=st.integers(11, 30), noise=st.floats(0, 1))
def test_ssim_matches_scikit_image_in_the_interior(seed: int, height: int, width: int, noise: float) -> None:
    from skimage.metrics import structural_similarity

    generator = np.random.default_rng(seed)
    image = generator.random((height, width))
    other = np.clip(image + noise * generator.standard_normal(image.shape), 0, 1)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1, "full": True}
    _, everywhere = structural_similarity(image, other, **options)
    assert ssim(image, other) == pytest.approx(everywhere[5:-5, 5:-5].mean(), abs=1e-10)


def test_tensors_equal_arrays_and_batches_are_averaged() -> None:
    first, second = torch.rand(2, 2, 1, 18, 16, generator=torch.Generator().manual_seed(0))
    images = [(x[0].numpy(), y[0].numpy()) for x, y in zip(first, second, strict=True)]
    for measure in (psnr, ssim):
        expected = [measure(x, y, crop_border=2) for x, y in images]
        assert measure(first[0, 0].clone().requires_grad_(), second[0, 0], crop_border=2) == expected[0]
        assert measure(first, second, crop_border=2) == pytest.approx(np.mean(expected), abs=1e-12)
        half = measure(first.bfloat16(), second.bfloat16(), crop_border=2)
        assert half == pytest.approx(np.mean(expected), rel=0.02)


def test_channels_are_last_in_single_images_and_second_in_batches() -> None:
    image, other = np.random.default_rng(0).random((2, 9, 8, 3))
    batches = (torch.from_numpy(x).permute(2, 0, 1)[None] for x in (image, other))
    assert psnr(*batches, crop_border=2) == pytest.approx(psnr(image, other, crop_border=2), abs=1e-12)
    assert psnr(torch.from_numpy(image), torch.from_numpy(other)) == psnr(image, other)
    with pytest.raises(
        ValueError, match=r"expected a tensor \(H, W, C\), got shape \(3, 9, 8\); pass .* as image\[None\]"
    ):
        psnr(torch.rand(3, 9, 8), torch.rand(3, 9, 8))


def test_invalid_arguments_raise() -> None:
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: psnr(ZERO, ZERO.T), r"psnr: images must have the same shape, got \(16, 12\) and \(12, 16\)"),
        (lambda: psnr(ZERO[0], ZERO[0]), r"psnr: expected images \(H, W\), .*, got shape \(12,\)"),
        (
            lambda: psnr(ZERO, ZERO, crop_border=-1),
            "psnr: crop_border must be >= 0 and leave pixels of 16x12 .* got -1",
        ),
        (lambda: ssim(ZERO, ZERO, crop_border=6), "ssim: crop_border must be .* leave pixels of 16x12 images, got 6"),
        (lambda: psnr(ZERO, ZERO.astype(np.uint8)), r"psnr: images must both be uint8 .*, got float64 and uint8"),
        (lambda: ssim(ZERO, ZERO, crop_border=1), r"ssim: expected one channel of at least 11x11 .* shape \(14, 10\)"),
        (lambda: ssim(*[np.zeros((16, 16, 3))] * 2), r"ssim: expected one channel .* shape \(16, 16, 3\)"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()


def test_floating_point_in_0_to_255_raises() -> None:
    image = np.random.default_rng(0).random((16, 16))
    for measure in (psnr, ssim):
        with pytest.raises(ValueError, match=r"must be in \[0, 1\], got a reference with values up to 2\d\d"):
            measure(255 * image, 255 * image)
        assert measure(2.5 * image, image) < 20


def test_psnr_of_white_and_black_is_zero() -> None:
    assert str(psnr(np.zeros((8, 8)), np.ones((8, 8)))) == "0.0"

"""PSNR and SSIM of upscaled images."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.support import filled
from srblocks.evaluate import Score, compare, evaluate, image_files, means, score
from srblocks.factory import create_network
from srblocks.inference import UpscaleError, Upscaler, from_network

SIDES = st.integers(1, 40)


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES, least=st.tuples(st.integers(1, 12), st.integers(1, 12)), multiple=st.integers(1, 5))
def test_unsupported_sizes_are_padded_and_cropped(
    height: int, width: int, least: tuple[int, int], multiple: int
) -> None:
    batches: list[np.ndarray] = []

    def nearest(batch: np.ndarray) -> np.ndarray:
        batches.append(batch)
        return batch.repeat(2, axis=2).repeat(2, axis=3)

    upscale = Upscaler("nearest", nearest, 2, "y", min_size=least, size_multiple=multiple)
    low = np.random.default_rng(0).random((height, width, 1)).astype(np.float32)
    high = upscale(low)
    assert np.array_equal(high, low.repeat(2, axis=0).repeat(2, axis=1))
    for padded, side, smallest in zip(batches[0].shape[2:], (height, width), least, strict=True):
        assert padded % multiple == 0
        assert max(smallest, side) <= padded < max(smallest, side) + multiple


def test_output_is_clipped() -> None:
    upscale = Upscaler("wide", lambda batch: 4 * batch - 2, 1, "y")
    assert upscale(np.array([[0.1, 0.6, 0.9]])[..., None])[..., 0] == pytest.approx(np.array([[0, 0.4, 1]]))


def test_networks_work_on_luma_or_rgb() -> None:
    luma = from_network(create_network("espcn", scale=2), "espcn")
    other = from_network(create_network("espcn", scale=2, image_channels=3, color="ycbcr"), "espcn")
    assert (luma.color, other.color) == ("y", "rgb")


def test_training_mode_and_float64_are_reset() -> None:
    net = filled(create_network("srresnet", scale=2, depth=1, width=4)).double().train()
    low = np.random.default_rng(1).random((6, 5, 3))
    first = from_network(net, "net")(low)
    assert np.array_equal(first, from_network(net, "net")(low))
    assert not net.training


def test_equal_images_and_images_too_small_for_ssim() -> None:
    image = np.random.default_rng(0).random((30, 30))
    assert compare(image, image, 2) == Score("", math.inf, pytest.approx(1.0))
    assert compare(image[:14], image[:14] * 0.9, 2).ssim is None


def test_means_skip_missing_ssim() -> None:
    assert means([Score("a", 30.0, 0.8), Score("b", 20.0, None)]) == Score("mean", 25.0, 0.8)
    assert means([Score("b", 20.0, None)]).ssim is None


def test_images_smaller_than_the_border() -> None:
    upscale = from_network(create_network("fsrcnn", scale=4), "fsrcnn")
    with pytest.raises(ValueError, match="crop_border must be >= 0 and leave pixels of 8x8 images, got 4"):
        score(upscale, np.zeros((8, 8, 3), np.uint8))


def test_missing_and_unreadable_images(tmp_path: Path) -> None:
    for data, message in ((tmp_path, "no images in"), (tmp_path / "absent", "no such file or directory")):
        with pytest.raises(UpscaleError, match=message):
            image_files(data)
    upscale = Upscaler("identity", lambda batch: batch, 1, "y")
    with pytest.raises(ValueError, match=r"absent\.png: cannot read the image"):
        list(evaluate(upscale, [tmp_path / "absent.png"]))

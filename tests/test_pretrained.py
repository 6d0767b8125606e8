"""Quality, documentation and errors of the bundled weights."""

from pathlib import Path

import pytest
from skimage.data import astronaut

import set5
from helpers.support import REPOSITORY
from srblocks import list_pretrained, load_pretrained
from srblocks.color import rgb_to_y
from srblocks.evaluate import score
from srblocks.inference import from_network
from srblocks.metrics import psnr
from srblocks.pretrained import pretrained_path
from srblocks.registry import UnknownNetworkError
from srblocks.resize import downscaled_pair, imresize


@pytest.mark.parametrize("scale,decibels", [(2, 36.4), (3, 32.4), (4, 30.1)])
def test_fsrcnn_reaches_its_psnr_on_set5(data: Path, scale: int, decibels: float) -> None:
    network = set5.bundled(data / "images" / "Set5", "fsrcnn", scale)
    bicubic = set5.bicubic(data / "images" / "Set5", scale)
    assert network.psnr >= decibels
    assert network.psnr > bicubic.psnr + 1.5
    assert network.ssim > bicubic.ssim + 0.01


@pytest.mark.parametrize("scale,gain", [(2, 2.0), (3, 1.5), (4, 1.2)])
def test_another_photograph_gains_over_bicubic(scale: int, gain: float) -> None:
    low, high = downscaled_pair(rgb_to_y(astronaut()), scale)
    network = score(from_network(load_pretrained("fsrcnn", scale=scale), "fsrcnn"), astronaut())
    assert network.psnr > psnr(imresize(low, scale), high, crop_border=scale) + gain


def test_every_bundled_file_is_documented_and_contains_no_paths() -> None:
    card = (REPOSITORY / "srblocks/pretrained/README.md").read_text()
    for stem in list_pretrained():
        name, _, scale = stem.rpartition("_x")
        path = pretrained_path(name, scale=int(scale))
        assert path is not None
        assert stem in card
        assert b"/" not in path.read_bytes()[:2000].partition(b"}}")[0].replace(b"\\/", b"")


def test_missing_bundled_weights_are_reported() -> None:
    with pytest.raises(ValueError, match="no bundled weights for edsr at scale 4; bundled are fsrcnn_x2, "):
        load_pretrained("edsr", scale=4)


def test_a_name_with_a_scale_is_not_a_network() -> None:
    with pytest.raises(UnknownNetworkError, match="unknown network 'fsrcnn_x2'; did you mean fsrcnn"):
        load_pretrained("fsrcnn_x2", scale=2)

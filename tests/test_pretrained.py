"""Quality and documentation of the bundled weights, and errors."""

from pathlib import Path

import pytest

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
def test_psnr_of_fsrcnn_on_set5(data: Path, scale: int, decibels: float) -> None:
    network = set5.bundled(data / "images" / "Set5", "fsrcnn", scale)
    bicubic = set5.bicubic(data / "images" / "Set5", scale)
    assert network.psnr >= decibels
    assert network.psnr > bicubic.psnr + 1.5
    assert network.ssim > bicubic.ssim + 0.01


def test_fsrcnn_is_better_than_bicubic_on_another_photograph() -> None:
    from skimage.data import astronaut

    photograph = astronaut()
    for scale, gain in ((2, 2.0), (3, 1.5), (4, 1.2)):
        low, high = downscaled_pair(rgb_to_y(photograph), scale)
        network = score(from_network(load_pretrained("fsrcnn", scale=scale), "fsrcnn"), photograph)
        assert network.psnr > psnr(imresize(low, scale), high, crop_border=scale) + gain, scale


def test_bundled_files_are_documented_and_contain_no_paths() -> None:
    card = (REPOSITORY / "srblocks/pretrained/README.md").read_text()
    for stem in list_pretrained():
        name, _, scale = stem.rpartition("_x")
        path = pretrained_path(name, scale=int(scale))
        assert path is not None
        assert stem in card
        assert b"/" not in path.read_bytes()[:2000].partition(b"}}")[0].replace(b"\\/", b"")


def test_missing_bundled_weights_raise() -> None:
    with pytest.raises(ValueError, match="no bundled weights for edsr at scale 4; bundled are fsrcnn_x2, "):
        load_pretrained("edsr", scale=4)


def test_names_with_a_scale_raise() -> None:
    with pytest.raises(UnknownNetworkError, match="unknown network 'fsrcnn_x2'; did you mean fsrcnn"):
        load_pretrained("fsrcnn_x2", scale=2)

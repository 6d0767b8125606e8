"""The bundled weights reach the quality that they are shipped for."""

from pathlib import Path

import pytest
from skimage.data import astronaut

import set5
from srblocks import list_pretrained, load_pretrained
from srblocks.pretrained import pretrained_path
from srblocks.protocol import psnr, reduced_pair, rgb_to_y
from support import REPOSITORY


@pytest.mark.parametrize("scale,decibels", [(2, 36.4), (3, 32.4), (4, 30.1)])
def test_fsrcnn_reaches_its_quality_on_set5(data: Path, scale: int, decibels: float) -> None:
    folder = data / "images" / "Set5"
    figure, similarity = set5.evaluate(set5.bundled("fsrcnn", scale), folder, scale)
    bicubic, bicubic_similarity = set5.evaluate(set5.bicubic(scale), folder, scale, rounded=True)
    assert figure >= decibels
    assert figure > bicubic + 1.5
    assert similarity > bicubic_similarity + 0.01


@pytest.mark.parametrize("scale,gain", [(2, 2.0), (3, 1.5), (4, 1.2)])
def test_a_photograph_that_is_in_no_set_gains_over_bicubic(scale: int, gain: float) -> None:
    photo = astronaut()
    low, high = reduced_pair(rgb_to_y(photo), scale)
    network, bicubic = set5.bundled("fsrcnn", scale), set5.bicubic(scale)
    assert psnr(network(low), high, crop_border=scale) > psnr(bicubic(low), high, crop_border=scale) + gain


def test_every_bundled_file_has_a_card_and_none_names_a_machine() -> None:
    card = (REPOSITORY / "srblocks/pretrained/README.md").read_text()
    for stem in list_pretrained():
        name, _, scale = stem.rpartition("_x")
        path = pretrained_path(name, scale=int(scale))
        assert path is not None
        assert stem in card
        assert b"/" not in path.read_bytes()[:2000].partition(b"}}")[0].replace(b"\\/", b"")


def test_weights_that_are_not_bundled_are_named() -> None:
    with pytest.raises(ValueError, match="no bundled weights for 'edsr' at scale 4; bundled are fsrcnn_x2, fsrcnn_x3"):
        load_pretrained("edsr", scale=4)

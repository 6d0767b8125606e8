"""The bundled weights reach the quality that they are shipped for."""

from pathlib import Path

import pytest
import torch

import set5
from srblocks import list_pretrained, load_pretrained
from srblocks.pretrained import pretrained_path
from support import REPOSITORY


@pytest.mark.parametrize("scale,decibels", [(2, 36.4), (3, 32.4), (4, 30.1)])
def test_fsrcnn_reaches_its_quality_on_set5(data: Path, scale: int, decibels: float) -> None:
    folder = data / "images" / "Set5"
    figure, similarity = set5.evaluate(set5.bundled("fsrcnn", scale), folder, scale)
    bicubic, bicubic_similarity = set5.evaluate(set5.bicubic(scale), folder, scale)
    assert figure >= decibels
    assert figure > bicubic + 1.5
    assert similarity > bicubic_similarity + 0.01


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bundled_networks_enlarge_a_picture_that_is_not_in_any_set(scale: int) -> None:
    """A disc with a soft edge, drawn at both sizes: the network must beat bicubic on it."""
    from srblocks.protocol import imresize, psnr

    side = 120
    axis = (torch.arange(side) + 0.5) / side - 0.5
    disc = torch.sigmoid((0.3 - (axis[:, None] ** 2 + axis[None] ** 2).sqrt()) * side).double().numpy() * 0.8 + 0.1
    low = imresize(disc, 1 / scale)
    with torch.inference_mode():
        sr = load_pretrained("fsrcnn", scale=scale)(torch.tensor(low[None, None], dtype=torch.float32))[0, 0].numpy()
    assert psnr(sr, disc, crop_border=8) > psnr(imresize(low, scale), disc, crop_border=8) + 1


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

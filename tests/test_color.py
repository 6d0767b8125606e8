from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.support import filled, wave_image
from srblocks import InterpolateUp, Network, OnLuma, OnYCbCr, create_network, load_pretrained, on_rgb, save_checkpoint
from srblocks.color import rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb
from srblocks.resize import imresize

SIZES = st.integers(2, 12)
SEEDS = st.integers(0, 2**32 - 1)


class Bicubic(Network):
    """Bicubic interpolation as a network."""

    def __init__(self, image_channels: int, scale: int, color: str | None = None, size_multiple: int = 1) -> None:
        super().__init__(
            scale=scale, image_channels=image_channels, min_size=2, color=color, size_multiple=size_multiple
        )
        self.up = InterpolateUp(image_channels, scale)

    def forward(self, lr: Tensor) -> Tensor:
        return self.up(lr)


@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, height=SIZES, width=SIZES, scale=st.sampled_from([2, 3, 4]))
def test_network_upscales_luma_and_bicubic_interpolation_chroma(seed: int, height: int, width: int, scale: int) -> None:
    rgb = np.random.default_rng(seed).random((height, width, 3))
    net = filled(create_network("espcn", scale=scale)).double()
    ycbcr = rgb_to_ycbcr(rgb)
    with torch.no_grad():
        luma = net(torch.from_numpy(ycbcr[None, None, ..., 0]))[0, 0].numpy()
        found = OnLuma(net).double()(torch.from_numpy(rgb.transpose(2, 0, 1)[None]))[0].permute(1, 2, 0).numpy()
    expected = ycbcr_to_rgb(np.dstack([luma, imresize(ycbcr[..., 1:], scale)]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_conversions_cancel_around_a_linear_network() -> None:
    lr = torch.rand(2, 3, 7, 5, dtype=torch.float64)
    expected = Bicubic(3, 3).double()(lr)
    for wrapped in (OnLuma(Bicubic(1, 3)), OnYCbCr(Bicubic(3, 3, color="ycbcr"))):
        torch.testing.assert_close(wrapped.double()(lr), expected, rtol=0, atol=1e-12)


def test_gray_images_stay_gray() -> None:
    net = load_pretrained("fsrcnn", scale=2)
    with torch.no_grad():
        sr = OnLuma(net)(torch.rand(1, 1, 9, 8).expand(1, 3, 9, 8))
    torch.testing.assert_close(sr[:, 0], sr[:, 1], rtol=0, atol=1e-5)
    torch.testing.assert_close(sr[:, 0], sr[:, 2], rtol=0, atol=1e-5)


def test_casting_back_restores_full_precision() -> None:
    exact = OnLuma(Bicubic(1, 2)).double()
    lr = wave_image((1, 3, 6, 6))
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)):
        cast = OnLuma(Bicubic(1, 2)).to(dtype)
        torch.testing.assert_close(cast(lr.to(dtype)).double(), exact(lr), rtol=0, atol=tolerance)
        torch.testing.assert_close(cast.double()(lr), exact(lr), rtol=0, atol=1e-12)


def test_wrappers_have_the_dtype_of_the_network() -> None:
    for dtype in (torch.float64, torch.float16):
        net = create_network("lapsrn", scale=4, depth=1, width=4).to(dtype)
        lr = torch.rand(1, 3, 5, 6).to(dtype)
        for wrapped in (OnLuma(net), OnLuma(net).at_scale(2), OnYCbCr(Bicubic(3, 2, color="ycbcr").to(dtype))):
            assert wrapped(lr).dtype == dtype


def test_state_dict_has_only_the_inner_network() -> None:
    net = create_network("fsrcnn", scale=2)
    wrapped = OnLuma(net)
    assert set(wrapped.state_dict()) == {f"net.{name}" for name in net.state_dict()}
    assert wrapped.net is net
    assert wrapped.training
    assert not OnLuma(net.eval()).training
    again = deepcopy(wrapped).eval()
    lr = torch.rand(1, 3, 5, 6)
    assert torch.equal(again(lr), OnLuma(net)(lr))


def test_script_and_export_with_dynamic_sizes() -> None:
    net = OnLuma(filled(create_network("vdsr", scale=2, depth=3, width=4))).eval()
    lr = torch.rand(2, 3, 6, 5)
    torch.testing.assert_close(torch.jit.script(net)(lr), net(lr))
    free = torch.export.Dim.AUTO
    program = torch.export.export(net, (torch.rand(2, 3, 8, 9),), dynamic_shapes=({0: free, 2: free, 3: free},))
    torch.testing.assert_close(program.module()(lr), net(lr))


def test_wrappers_have_the_scales_and_sizes_of_the_inner_network() -> None:
    wrapped = OnLuma(create_network("lapsrn", scale=4, depth=1, width=4))
    assert wrapped.scales == (2, 3, 4)
    assert (wrapped.at_scale(2).scale, type(wrapped.at_scale(2))) == (2, OnLuma)
    assert wrapped.at_scale(2)(torch.rand(1, 3, 4, 5)).shape == (1, 3, 8, 10)
    restricted = OnLuma(Bicubic(1, 2, size_multiple=4))
    assert (restricted.size_multiple, restricted.min_size) == (4, 4)
    assert (restricted.color, restricted.image_channels) == ("rgb", 3)


def test_scale_1_keeps_the_chroma() -> None:
    wrapped = OnLuma(create_network("vdsr", scale=1, depth=2, width=2))
    assert wrapped(torch.rand(1, 3, 1, 3)).shape == (1, 3, 1, 3)


def test_on_rgb_selects_the_wrapper() -> None:
    rgb, luma, other = Bicubic(3, 2), Bicubic(1, 2), Bicubic(3, 2, color="ycbcr")
    assert on_rgb(rgb) is rgb
    assert isinstance(on_rgb(luma), OnLuma)
    assert isinstance(on_rgb(other), OnYCbCr)


def test_invalid_networks_raise(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"OnLuma: expected a network with image_channels=1, got 3"):
        OnLuma(Bicubic(3, 2))
    with pytest.raises(ValueError, match=r"OnYCbCr: expected a network with color='ycbcr', got 'rgb'"):
        OnYCbCr(Bicubic(3, 2))
    with pytest.raises(
        ValueError, match=r"on_rgb: expected a network with color y, rgb or ycbcr, got other \(4 channels\)"
    ):
        on_rgb(Bicubic(4, 2))
    with pytest.raises(ValueError, match=r"OnLuma wraps another network; save its attribute net"):
        save_checkpoint(OnLuma(Bicubic(1, 2)), tmp_path / "wrapped.safetensors")
    for channels, color in ((3, "hsv"), (3, "y"), (1, "rgb")):
        with pytest.raises(
            ValueError, match=rf"color must be y with 1 .* got color='{color}' with image_channels={channels}"
        ):
            Bicubic(channels, 2, color=color)


def test_full_range_ycbcr_matches_jpeg() -> None:
    class Recorder(Bicubic):
        def forward(self, lr: Tensor) -> Tensor:
            self.input = lr
            return self.up(lr)

    net = Recorder(3, 2, color="ycbcr")
    OnYCbCr(net)(torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1]]).T.view(1, 3, 2, 2))
    white, black, red, blue = (net.input[0].flatten(1).T * 255).round().tolist()
    assert (white, black) == ([255, 128, 128], [0, 128, 128])
    assert red[0] == 76 and red[2] == pytest.approx(255.5, abs=1)
    assert blue[0] == 29 and blue[1] == pytest.approx(255.5, abs=1)


def test_gradients_flow_through_the_conversions() -> None:
    net = create_network("fsrcnn", scale=2)
    OnLuma(net)(torch.rand(1, 3, 6, 6)).mean().backward()
    gradients = [parameter.grad for parameter in net.parameters()]
    assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients)
    assert isinstance(net.get_submodule("head.0"), nn.Conv2d)


def test_studio_range_values() -> None:
    white_black_gray_red_green = np.array([[255] * 3, [0] * 3, [51] * 3, [255, 0, 0], [0, 255, 0]], np.uint8)
    published = [[235, 128, 128], [16, 128, 128], [59.8, 128, 128], [81.481, 90.203, 240], [144.553, 53.797, 34.214]]
    np.testing.assert_allclose(rgb_to_ycbcr(white_black_gray_red_green) * 255, published, rtol=0, atol=1e-12)
    np.testing.assert_allclose(rgb_to_y(white_black_gray_red_green / 255) * 255, np.array(published)[:, 0], atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, shape=st.lists(st.integers(1, 5), max_size=3))
def test_ycbcr_round_trip(seed: int, shape: list[int]) -> None:
    rgb = np.random.default_rng(seed).random((*shape, 3))
    ycbcr = rgb_to_ycbcr(rgb)
    assert ((ycbcr * 255 > 15.999) & (ycbcr * 255 < 240.001)).all()
    assert np.array_equal(rgb_to_y(rgb), ycbcr[..., 0])
    np.testing.assert_allclose(ycbcr_to_rgb(ycbcr), rgb, rtol=0, atol=1e-14)

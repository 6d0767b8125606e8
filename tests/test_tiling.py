"""Tiles against the whole image."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.support import Unshuffled, cases, trained_alike
from srblocks import (
    OnLuma,
    PixelShuffleUp,
    PostUpsampling,
    ResidualBlock,
    conv,
    create_network,
    load_pretrained,
    optimize,
)
from srblocks._utils.memory import LiveTensors, peak_bytes
from srblocks.network import Network
from srblocks.networks import network_spec, network_specs
from srblocks.registry import NetworkSpec
from srblocks.tiling import automatic_tile, least_tile, measured_radius, receptive_radius, tiled, windows


def scene(channels: int, *size: int) -> Tensor:
    """Smooth waves and noise, in double precision."""
    height, width = size
    waves = (
        torch.linspace(0, 20, width, dtype=torch.float64).sin() * torch.linspace(0, 9, height).double().cos()[:, None]
    )
    return 0.5 + 0.2 * waves + 0.2 * torch.rand(1, channels, *size, dtype=torch.float64)


def narrow(spec: NetworkSpec, scale: int, **depth: object) -> Network:
    """The network with few channels, on which its radius does not depend."""
    few = {"width": 4, "growth": 2, "upsampler_width": 4, "head_width": 4}
    chosen = {name: few[name] for name in few if name in spec.arguments()}
    return create_network(spec.name, scale=scale, **chosen, **depth)


def cheapest(spec: NetworkSpec) -> int:
    """The scale whose tiles have the fewest pixels; tests/properties moves images at every scale."""
    return min(spec.scales, key=lambda scale: scale * (spec.size_requirements[scale].radius or 1))


ROWS = [(spec, scale) for spec in network_specs() for scale in spec.scales]
FINITE = [(spec, scale) for spec, scale in ROWS if spec.size_requirements[scale].radius is not None]
ONE_PER_CLASS = list({row[0].constructor[0]: row for row in reversed(FINITE) if row[1] == cheapest(row[0])}.values())


def check_tiles(net: Network, radius: int, sizes: tuple[int, int, int, int]) -> None:
    """Tiles are the whole image: the halo, the tile and the image are so much larger than they must be."""
    trained_alike(net.double(), 0.5)
    step = net.size_multiple
    halo = radius + sizes[0]
    side = max(least_tile(halo, step), net.min_size) + sizes[1]
    lr = scene(net.image_channels, *(-(-(side + size) // step) * step for size in sizes[2:]))
    with torch.inference_mode():
        whole = net(lr)
        assert float((tiled(net, lr, tile=side, halo=halo) - whole).abs().max()) < 1e-9 * float(whole.std())


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=[pytest.mark.slow] * (row not in ONE_PER_CLASS)) for row in FINITE],
    ids=lambda row: f"{row[0].name}-x{row[1]}",
)
@cases(1)
@given(sizes=st.tuples(st.integers(0, 3), st.integers(2, 9), st.integers(0, 9), st.integers(3, 20)))
def test_tiles_of_any_size_equal_the_full_image(
    row: tuple[NetworkSpec, int], sizes: tuple[int, int, int, int], tally: Counter[str]
) -> None:
    spec, scale = row
    net = narrow(spec, scale, **spec.reduced)
    check_tiles(net, receptive_radius(net), sizes)
    tally["cases of properties of networks"] += 1


@pytest.mark.one_of_each_class
@torch.inference_mode()
def test_tiles_approximate_networks_with_a_global_receptive_field(spec: NetworkSpec) -> None:
    scale = cheapest(spec)
    if spec.size_requirements[scale].radius is None:
        net = trained_alike(create_network(spec.name, scale=scale, width=16, **spec.reduced).double(), 0.5)
        assert receptive_radius(net) is None
        lr = scene(net.image_channels, 12, 20)
        whole = net(lr)
        assert float((tiled(net, lr, tile=12, halo=2) - whole).abs().max()) > 1e-6 * float(whole.std())


@pytest.mark.slow
@pytest.mark.parametrize("row", FINITE, ids=lambda row: f"{row[0].name}-x{row[1]}")
def test_tiles_equal_the_full_image_at_full_depth(row: tuple[NetworkSpec, int]) -> None:
    spec, scale = row
    check_tiles(narrow(spec, scale), spec.size_requirements[scale].radius, (0, 7, 6, 60))


@torch.inference_mode()
def test_less_halo_than_the_radius_shows() -> None:
    net, lr = load_pretrained("fsrcnn", scale=2).double(), scene(1, 60, 90)
    whole, radius = net(lr), receptive_radius(net)
    errors = [float((tiled(net, lr, tile=40, halo=halo) - whole).abs().max()) for halo in range(radius + 2)]
    assert errors[0] > 1e-2
    assert min(errors[: radius - 1]) > 1e-9
    assert max(errors[radius:]) < 1e-12


@torch.inference_mode()
@pytest.mark.parametrize("row", ONE_PER_CLASS, ids=lambda row: row[0].name)
def test_optimized_networks_tile_exactly(row: tuple[NetworkSpec, int]) -> None:
    spec, scale = row
    net = trained_alike(narrow(spec, scale, **spec.reduced).double(), 0.5)
    quick, radius = optimize(net), receptive_radius(net)
    assert radius <= receptive_radius(quick) <= radius + 1
    lr = scene(net.image_channels, 2 * radius + 14, 2 * radius + 21)
    whole = net(lr)
    assert torch.allclose(tiled(quick, lr, tile=2 * radius + 9), whole, rtol=0, atol=1e-9 * float(whole.std()))


@cases(60)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.integers(0, 6),
    st.integers(1, 4),
)
def test_windows_cover_every_pixel_once_and_see_the_halo(
    blocks: tuple[int, int], tile: tuple[int, int], halo: int, multiple: int
) -> None:
    size = (blocks[0] * multiple, blocks[1] * multiple)
    tile = (tile[0] + 2 * halo + multiple - 1, tile[1] + 2 * halo + multiple - 1)
    covered = np.zeros(size, int)
    shapes = set()
    for window in windows(size, (tile[0] + multiple, tile[1] + multiple), halo, size_multiple=multiple):
        covered[window.target(1)] += 1
        shapes.add(np.zeros(size)[window.source].shape)
        for span, length in zip((window.rows, window.columns), size, strict=True):
            assert 0 <= span.start <= span.first < span.last <= span.stop <= length
            assert span.start % multiple == 0
            assert span.stop % multiple == 0
            assert span.start == 0 or span.first - span.start >= halo
            assert span.stop == length or span.stop - span.last >= halo
        kept = np.zeros(size)[window.source].repeat(2, 0).repeat(2, 1)[window.kept(2)]
        assert kept.shape == covered.repeat(2, 0).repeat(2, 1)[window.target(2)].shape
    assert (covered == 1).all()
    assert len(shapes) == 1


def test_a_halo_that_leaves_nothing_is_refused() -> None:
    net = create_network("edsr_baseline", scale=2)
    with pytest.raises(ValueError, match=r"tile must be at least 73 for a halo of 36 pixels on each side, got 72"):
        tiled(net, torch.rand(1, 3, 80, 80), tile=72)
    with pytest.raises(ValueError, match="tile must be at least 4 for EDSR, got 3"):
        tiled(optimize(net), torch.rand(1, 3, 80, 80), tile=3)
    with pytest.raises(ValueError, match="halo must be >= 0, got -4"):
        tiled(net, torch.rand(1, 3, 80, 80), halo=-4)
    with pytest.raises(ValueError, match=r"expected images of shape \(N, 3, H, W\).*, got \(3, 80, 80\)"):
        tiled(net, torch.rand(3, 80, 80))


class Everywhere(Network):
    """Adds the mean of the whole image."""

    def __init__(self) -> None:
        super().__init__(scale=1, image_channels=1)
        self.body = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        return self.body(lr) + lr.mean((2, 3), keepdim=True)


def dilated(dilation: int) -> Network:
    """Sees single pixels far away and nothing between."""
    body = nn.Sequential(conv(8, 8), nn.Conv2d(8, 8, 3, padding=dilation, dilation=dilation))
    slots = {"head": conv(1, 8), "upsampler": PixelShuffleUp(8, 2), "tail": conv(8, 1)}
    return PostUpsampling(scale=2, image_channels=1, body=body, **slots)


class Tall(Network):
    """Looks farther up and down than to the sides."""

    def __init__(self) -> None:
        super().__init__(scale=1, image_channels=1)
        self.body = nn.Conv2d(1, 1, (9, 3), padding=(4, 1))

    def forward(self, lr: Tensor) -> Tensor:
        return self.body(lr)


def own() -> Network:
    return PostUpsampling(
        scale=2,
        image_channels=3,
        head=conv(3, 8, 5),
        body=nn.Sequential(*(ResidualBlock(8) for _ in range(20))),
        upsampler=PixelShuffleUp(8, 2),
        tail=conv(8, 3),
    )


@pytest.mark.parametrize(
    ("net", "radius"),
    [
        (Everywhere, None),
        (Tall, 4),
        (Unshuffled, 3),
        (lambda: dilated(24), 28),
        (lambda: dilated(100), 104),
        (lambda: dilated(600), None),
        (own, 2 + 40 + 1 + 1),
        (lambda: create_network("edsr_baseline", scale=4, depth=4), 12),
        (lambda: create_network("edsr_baseline", scale=4, value_range=1), 36),
        (lambda: create_network("rcan", scale=2, width=16, **network_spec("rcan").reduced), None),
        (lambda: OnLuma(create_network("srcnn", scale=3)), 4),
        (lambda: OnLuma(create_network("espcn", scale=3)), 4),
        (lambda: OnLuma(nothing()), 2),
    ],
)
def test_the_radius_of_other_networks_is_measured(net, radius: int | None) -> None:
    assert receptive_radius(net()) == radius


def nothing() -> Network:
    """ESPCN's class with kernels of one pixel has no row, and no reach but that of the shuffle."""
    return PostUpsampling(
        scale=2,
        image_channels=1,
        head=conv(1, 4, 1),
        body=nn.Identity(),
        upsampler=nn.PixelShuffle(2),
        tail=nn.Identity(),
    )


def test_a_measured_radius_is_never_too_small(spec: NetworkSpec) -> None:
    scale, size_requirements = next(iter(spec.size_requirements.items()))
    if size_requirements.radius is not None:
        found = measured_radius(narrow(spec, scale))
        assert found is not None
        assert size_requirements.radius <= found <= size_requirements.radius + 1


@torch.inference_mode()
def test_memory_is_that_of_a_tile_at_any_size() -> None:
    net = create_network("fsrcnn", scale=2)

    def activations(height: int, width: int) -> int:
        lr = torch.rand(1, 1, height, width)
        with LiveTensors([*net.parameters(), lr]) as tensors:
            tiled(net, lr, tile=64)
        return tensors.peak - 16 * lr.numel()

    assert activations(64, 65) == activations(300, 400)


@pytest.mark.parametrize("name", ["fsrcnn", "rdn", "csnln"])
def test_automatic_tiles_fit_and_the_halo_leaves_a_quarter_or_a_ninth(name: str) -> None:
    spec = network_spec(name)
    net, radius = create_network(name, scale=2, **spec.reduced), spec.size_requirements[2].radius
    quarter = 4 * (radius or 0)

    def needs(side: int) -> int:
        return peak_bytes(net, (1, net.image_channels, side, side))

    tile = automatic_tile(net, radius, memory=needs(200))
    assert tile >= quarter
    assert needs(tile) <= (needs(200) if quarter <= 192 else 10 * needs(200))
    assert automatic_tile(net, radius, memory=needs(tile)) >= tile
    assert automatic_tile(net, radius, memory=1) == max(3 * (radius or 0), 32)

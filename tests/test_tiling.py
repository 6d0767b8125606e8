"""Tiled inference compared with inference on the full image, and measured receptive radii."""

from collections import Counter
from collections.abc import Callable
from functools import cache

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
    """Return smooth waves with noise, in float64."""
    height, width = size
    waves = (
        torch.linspace(0, 20, width, dtype=torch.float64).sin() * torch.linspace(0, 9, height).double().cos()[:, None]
    )
    return 0.5 + 0.2 * waves + 0.2 * torch.rand(1, channels, *size, dtype=torch.float64)


def narrow(spec: NetworkSpec, scale: int, **depth: object) -> Network:
    """Return the network with few channels, which do not change its radius."""
    few = {"width": 4, "growth": 2, "upsampler_width": 4, "head_width": 4}
    chosen = {name: few[name] for name in few if name in spec.arguments()}
    return create_network(spec.name, scale=scale, **chosen, **depth)


def cheapest(spec: NetworkSpec) -> int:
    """Return the scale whose tiles have the fewest pixels; tests/properties shifts images at every scale."""
    return min(spec.scales, key=lambda scale: scale * (spec.size_requirements[scale].radius or 1))


ROWS = [(spec, scale) for spec in network_specs() for scale in spec.scales]
FINITE = [(spec, scale) for spec, scale in ROWS if spec.size_requirements[scale].radius is not None]
ONE_PER_CLASS = list({row[0].constructor[0]: row for row in reversed(FINITE) if row[1] == cheapest(row[0])}.values())


GLOBAL = [row for row in ROWS if row[0].size_requirements[row[1]].radius is None]
LONGEST = 500
"""Longer radii do not fit into the strips of the measurement."""
ONE_GLOBAL_PER_CLASS = list({spec.constructor[0]: (spec, scale) for spec, scale in reversed(GLOBAL)}.values())


def check_tiles(net: Network, radius: int, sizes: tuple[int, int, int, int]) -> None:
    """Compare tiled and full inference.

    `sizes` is added to the smallest halo, tile, height and width.
    """
    trained_alike(net.double(), 0.5)
    step = net.size_multiple
    halo = radius + sizes[0]
    side = max(least_tile(halo, step), net.min_size) + sizes[1]
    lr = scene(net.image_channels, *(-(-(side + size) // step) * step for size in sizes[2:]))
    with torch.inference_mode():
        full = net(lr)
        assert float((tiled(net, lr, tile=side, halo=halo) - full).abs().max()) < 1e-9 * float(full.std())


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
    radius = receptive_radius(net)
    check_tiles(net, radius, sizes)
    optimized = optimize(net)
    assert radius <= receptive_radius(optimized) <= radius + 1
    lr = scene(net.image_channels, 2 * radius + 14, 2 * radius + 21)
    with torch.inference_mode():
        full = net(lr)
        assert torch.allclose(tiled(optimized, lr, tile=2 * radius + 9), full, rtol=0, atol=1e-9 * float(full.std()))
    tally["cases of properties of networks"] += 1


@torch.inference_mode()
def test_tiles_approximate_networks_with_a_global_receptive_field() -> None:
    assert len(ONE_GLOBAL_PER_CLASS) > 2
    for spec, scale in ONE_GLOBAL_PER_CLASS:
        net = trained_alike(create_network(spec.name, scale=scale, width=16, **spec.reduced).double(), 0.5)
        assert receptive_radius(net) is None, spec.name
        lr = scene(net.image_channels, 18, 36)
        full = net(lr)
        assert float((tiled(net, lr, tile=18, halo=2) - full).abs().max()) > 1e-6 * float(full.std()), spec.name


@pytest.mark.slow
@pytest.mark.parametrize("row", FINITE, ids=lambda row: f"{row[0].name}-x{row[1]}")
def test_tiles_equal_the_full_image_at_full_depth(row: tuple[NetworkSpec, int]) -> None:
    spec, scale = row
    check_tiles(narrow(spec, scale), spec.size_requirements[scale].radius, (0, 7, 6, 60))


@torch.inference_mode()
def test_halo_below_the_radius_changes_the_output() -> None:
    net, lr = load_pretrained("fsrcnn", scale=2).double(), scene(1, 45, 60)
    full, radius = net(lr), receptive_radius(net)
    errors = [float((tiled(net, lr, tile=40, halo=halo) - full).abs().max()) for halo in range(radius + 2)]
    assert errors[0] > 1e-2
    assert min(errors[: radius - 1]) > 1e-9
    assert max(errors[radius:]) < 1e-12


@cases(30)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.integers(0, 6),
    st.integers(1, 4),
)
def test_windows_cover_every_pixel_once_and_include_the_halo(
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


def test_invalid_tiles_and_images_raise() -> None:
    net = create_network("edsr_baseline", scale=2)
    with pytest.raises(ValueError, match=r"tile must be at least 73 for a halo of 36 pixels on each side, got 72"):
        tiled(net, torch.rand(1, 3, 80, 80), tile=72)
    with pytest.raises(ValueError, match="tile must be at least 4 for EDSR, got 3"):
        tiled(optimize(net), torch.rand(1, 3, 80, 80), tile=3)
    with pytest.raises(ValueError, match="halo must be >= 0, got -4"):
        tiled(net, torch.rand(1, 3, 80, 80), halo=-4)
    with pytest.raises(ValueError, match=r"expected images of shape \(N, 3, H, W\).*, got \(3, 80, 80\)"):
        tiled(net, torch.rand(3, 80, 80))


class AddMean(Network):
    """Adds the mean of the image."""

    def __init__(self) -> None:
        super().__init__(scale=1, image_channels=1)
        self.body = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        return self.body(lr) + lr.mean((2, 3), keepdim=True)


def dilated(dilation: int) -> Network:
    """Return a network that depends on single distant pixels and none between."""
    body = nn.Sequential(conv(8, 8), nn.Conv2d(8, 8, 3, padding=dilation, dilation=dilation))
    slots = {"head": conv(1, 8), "upsampler": PixelShuffleUp(8, 2), "tail": conv(8, 1)}
    return PostUpsampling(scale=2, image_channels=1, body=body, **slots)


class Tall(Network):
    """Has a larger vertical than horizontal receptive field."""

    def __init__(self) -> None:
        super().__init__(scale=1, image_channels=1)
        self.body = nn.Conv2d(1, 1, (9, 3), padding=(4, 1))

    def forward(self, lr: Tensor) -> Tensor:
        return self.body(lr)


def custom() -> Network:
    return PostUpsampling(
        scale=2,
        image_channels=3,
        head=conv(3, 8, 5),
        body=nn.Sequential(*(ResidualBlock(8) for _ in range(20))),
        upsampler=PixelShuffleUp(8, 2),
        tail=conv(8, 3),
    )


def pointwise() -> Network:
    """Return a network with a receptive radius of 0."""
    return PostUpsampling(
        scale=2,
        image_channels=1,
        head=conv(1, 4, 1),
        body=nn.Identity(),
        upsampler=nn.PixelShuffle(2),
        tail=nn.Identity(),
    )


def test_radius_of_custom_networks_is_measured() -> None:
    networks: list[tuple[Callable[[], Network], int | None]] = [
        (AddMean, None),
        (Tall, 4),
        (Unshuffled, 3),
        (lambda: dilated(24), 28),
        (lambda: dilated(100), 104),
        (lambda: dilated(600), None),
        (custom, 2 + 40 + 1 + 1),
        (lambda: create_network("edsr_baseline", scale=4, depth=4), 12),
        (lambda: create_network("edsr_baseline", scale=4, value_range=1), 36),
        (lambda: create_network("rcan", scale=2, width=16, **network_spec("rcan").reduced), None),
        (lambda: OnLuma(create_network("srcnn", scale=3)), 4),
        (lambda: OnLuma(create_network("espcn", scale=3)), 4),
        (lambda: OnLuma(pointwise()), 2),
    ]
    for build, radius in networks:
        net = build()
        assert receptive_radius(net) == radius, net


def test_measured_radius_is_never_too_small() -> None:
    for spec in network_specs():
        scale, size_requirements = next(iter(spec.size_requirements.items()))
        if size_requirements.radius is not None:
            found = measured_radius(narrow(spec, scale))
            if size_requirements.radius > LONGEST:
                assert found is None, spec.name
                continue
            assert found is not None, spec.name
            surplus = size_requirements.size_multiple
            assert size_requirements.radius <= found <= size_requirements.radius + surplus, spec.name


@torch.inference_mode()
def test_memory_does_not_depend_on_the_image_size() -> None:
    net = create_network("fsrcnn", scale=2)

    def activations(height: int, width: int) -> int:
        lr = torch.rand(1, 1, height, width)
        with LiveTensors([*net.parameters(), lr]) as tensors:
            tiled(net, lr, tile=64)
        return tensors.peak - 16 * lr.numel()

    assert activations(64, 65) == activations(300, 400)


@pytest.mark.parametrize("name", ["fsrcnn", "rdn", "csnln"])
def test_automatic_tiles_fit_into_memory_and_exceed_the_halo(name: str) -> None:
    spec = network_spec(name)
    net, radius = create_network(name, scale=2, **spec.reduced), spec.size_requirements[2].radius
    quarter = 4 * (radius or 0)

    @cache
    def needs(side: int) -> int:
        return peak_bytes(net, (1, net.image_channels, side, side))

    tile = automatic_tile(net, radius, memory=needs(200))
    assert tile >= quarter
    assert needs(tile) <= (needs(200) if quarter <= 192 else 10 * needs(200))
    assert automatic_tile(net, radius, memory=needs(tile)) >= tile
    assert automatic_tile(net, radius, memory=1) == max(3 * (radius or 0), 32)

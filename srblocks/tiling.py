"""Tiled inference for images of any size, without seams.

    sr = tiled(net, lr, tile=256)  # equals net(lr), with the memory of one tile

An output pixel depends only on input pixels within the receptive radius. If each tile overlaps its neighbors by at
least that radius (the halo), the result equals that of the full image, including the borders. Networks with a global
operation, such as channel attention, have no finite radius, so tiling approximates them.
"""

import copy
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from ._utils.memory import peak_bytes
from ._utils.rounding import round_up
from .color import OnLuma, OnYCbCr
from .network import Network, require_network
from .networks import network_name, network_spec, network_specs

GLOBAL_HALO = 32
"""Maximum halo for networks with a global receptive field, in low-resolution pixels; no halo is exact for them."""

CHROMA_RADIUS = 2
"""Receptive radius of MATLAB's bicubic interpolation, in low-resolution pixels."""

MEMORY = 2**28
"""Bytes for the activations of a tile if the tile size is chosen automatically."""

_TILES = (1024, 768, 512, 384, 256, 192, 128, 96, 64)

_SIDES = (64, 256, 1024)
"""Lengths of the strips for measuring a radius; a radius that exceeds the last one counts as global."""

_INDIFFERENT = {"scale", "scales", "value_range", "mean_shift", "color", "image_channels"}
"""Arguments that do not change the receptive radius at a given scale."""


def receptive_radius(net: Network) -> int | None:
    """Return the receptive radius of a network in low-resolution pixels; None = global.

    For registered networks with default arguments the registry declares it, and a network whose variants are all
    declared as global is global with any arguments. Otherwise it is measured. If you replaced modules of a registered
    network, call `measured_radius`.

    Examples:
        >>> from srblocks import create_network
        >>> receptive_radius(create_network("edsr_baseline", scale=4))
        36
    """
    if isinstance(net, (OnLuma, OnYCbCr)):
        radius = receptive_radius(net.net)
        return radius if radius is None or isinstance(net, OnYCbCr) else max(radius, CHROMA_RADIUS)
    if any(getattr(module, "unbounded", False) for module in net.modules()):
        return None
    try:
        spec = network_spec(network_name(net))
    except ValueError:  # not registered
        return measured_radius(net)
    variants = [each for each in network_specs() if each.constructor[0] is type(net)]
    if all(sizes.radius is None for each in variants for sizes in each.size_requirements.values()):
        return None
    defaults = spec.arguments()
    named = defaults.keys() - _INDIFFERENT
    # An argument that JSON cannot represent is missing in config, so it may differ from the default.
    if (
        net.scale in spec.size_requirements
        and named <= net.config.keys()
        and all(net.config[n] == defaults[n] for n in named)
    ):
        return spec.size_requirements[net.scale].radius
    return measured_radius(net)


@torch.inference_mode()
def measured_radius(net: Network) -> int | None:
    """Measure the receptive radius: set one input pixel to NaN and find the outputs that become NaN.

    It is measured on horizontal and vertical strips, which are longer than the reach of any (dilated) convolution.
    Operations that do not propagate NaN, such as comparisons and ``torch.nan_to_num``, are not detected.

    Args:
        net: the network; it is not modified.

    Returns:
        The radius in low-resolution pixels, never too small except for such operations; None if it exceeds all strips,
        no output becomes NaN, or the network does not accept strips.
    """
    twin = copy.deepcopy(net).eval()
    longest = net.size_multiple * max((_longest_step(module) for module in net.modules()), default=0)
    for side in _SIDES:
        try:
            reaches = [_reach(twin, side, across) for across in (False, True)]
        except (RuntimeError, ValueError):  # its size requirements are wrong
            return None
        if None in reaches:
            return None
        radius = max(reach for reach in reaches if reach is not None)
        if radius + longest < side // 2 - net.size_multiple:
            return radius
    return None


def _longest_step(module: nn.Module) -> int:
    """Return the distance between the outermost taps of a convolution."""
    if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        return 0
    return max(step * (side - 1) for step, side in zip(module.dilation, module.kernel_size, strict=True))


def _reach(net: Network, side: int, across: bool) -> int | None:
    """Return how far a pixel influences the output of a strip of length `side`; None if nowhere."""
    step = net.size_multiple
    length, thickness = (round_up(max(size, net.min_size), step) for size in (side, 8))
    first = length // 2 // step * step
    weight = next(net.parameters(), torch.empty(()))
    strips = torch.full((step, net.image_channels, thickness, length), 0.5, dtype=weight.dtype, device=weight.device)
    for offset in range(step):
        strips[offset, :, :, first + offset] = torch.nan
    output = net(strips.mT.contiguous()).mT if across else net(strips)
    reaches: list[int] = []
    for offset, columns in enumerate(output.isnan().any(1).any(1)):
        reached = columns.nonzero() // net.scale - (first + offset)
        if not len(reached):
            return None
        reaches.append(int(reached.abs().max()))
    return max(reaches)


@dataclass(frozen=True)
class Span:
    """Range of rows or columns: the network receives ``start`` to ``stop``, of which ``first`` to ``last`` is kept."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Window:
    """Tile of an image, in low-resolution pixels.

    Attributes:
        rows: vertical range.
        columns: horizontal range.
    """

    rows: Span
    columns: Span

    @property
    def source(self) -> tuple[slice, slice]:
        """Region of the image that the network receives."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    def kept(self, scale: int) -> tuple[slice, slice]:
        """Return the region of the network's output that is kept."""
        rows, columns = (
            slice((span.first - span.start) * scale, (span.last - span.start) * scale)
            for span in (self.rows, self.columns)
        )
        return rows, columns

    def target(self, scale: int) -> tuple[slice, slice]:
        """Return the region of the upscaled image where it belongs."""
        rows, columns = (slice(span.first * scale, span.last * scale) for span in (self.rows, self.columns))
        return rows, columns


def windows(size: tuple[int, int], tile: tuple[int, int], halo: int, *, size_multiple: int = 1) -> Iterator[Window]:
    """Split an image into tiles of equal size, which suits fixed shapes and compiled kernels.

    Args:
        size: H and W of the image, multiples of `size_multiple`.
        tile: height and width of a tile including the halo; limited to the size of the image.
        halo: overlap on each side that is not kept, except at the borders of the image.
        size_multiple: sizes and positions of tiles are multiples of it.

    Raises:
        ValueError: the tile is not larger than its halo.

    Examples:
        >>> [(w.columns.start, w.columns.first, w.columns.last) for w in windows((8, 20), (8, 10), 2)]
        [(0, 0, 8), (6, 8, 14), (10, 14, 20)]
    """
    rows, columns = (_spans(*pair, halo, size_multiple) for pair in zip(size, tile, strict=True))
    return (Window(*pair) for pair in product(rows, columns))


def least_tile(halo: int, size_multiple: int = 1) -> int:
    """Return the minimum tile size for a halo.

    Examples:
        >>> least_tile(36), least_tile(32, size_multiple=3)
        (73, 69)
    """
    return round_up(2 * halo + size_multiple, size_multiple)


def _spans(length: int, side: int, halo: int, multiple: int) -> list[Span]:
    side = side // multiple * multiple
    if length <= side:
        return [Span(0, length, 0, length)]
    if side < least_tile(halo, multiple):
        raise ValueError(
            f"tile must be at least {least_tile(halo, multiple)} for a halo of {halo} pixels on each side, got {side}"
        )
    step = (side - 2 * halo) // multiple * multiple
    starts = [*range(0, length - side, step), length - side]
    firsts = [0, *(start + side - halo for start in starts[:-1])]
    lasts = [*firsts[1:], length]
    return [Span(start, start + side, *kept) for start, *kept in zip(starts, firsts, lasts, strict=True)]


def halo_of(radius: int | None, tile: int) -> int:
    """Return the halo for a tile size: the radius, or an eighth of the tile up to `GLOBAL_HALO` if it is global."""
    return min(GLOBAL_HALO, tile // 8) if radius is None else radius


def automatic_tile(net: Network | None, radius: int | None, *, memory: int = MEMORY) -> int:
    """Choose a tile size.

    It is the largest one whose activations fit into `memory`, if the halo leaves at least a quarter of its area.
    Otherwise it is one that leaves a quarter, or a ninth if a quarter needs more than ten times `memory`.

    Args:
        net: the network; None if it is unknown.
        radius: its receptive radius; None = global.
        memory: bytes for the activations of a tile.
    """
    halo = radius or 0
    if net is None:
        return max(256, 4 * halo)
    step, channels = net.size_multiple, net.image_channels
    least, enough = (round_up(max(side, net.min_size, 32), step) for side in (3 * halo, 4 * halo))
    sides = sorted({round_up(side, step) for side in (least, enough, *_TILES) if side >= least})

    def largest(most: int) -> int:
        fitting = bisect_right(sides, most, key=lambda side: peak_bytes(net, (1, channels, side, side)))
        return sides[max(fitting - 1, 0)]

    chosen = largest(memory)
    return chosen if chosen >= enough else min(largest(10 * memory), enough)


def tiled(net: Network, lr: Tensor, *, tile: int = 256, halo: int | None = None) -> Tensor:
    """Upscale images tile by tile.

    The result equals ``net(lr)`` up to rounding if `halo` is at least the receptive radius. Activations need the memory
    of one tile, whatever the size of the image.

    Args:
        net: the network, usually in eval mode.
        lr: images (N, C, H, W).
        tile: height and width of a tile including the halo, in low-resolution pixels.
        halo: overlap on each side; None means the receptive radius, or the approximation of `halo_of` for networks
            with a global receptive field.

    Shape:
        ``(N, C, H, W) -> (N, C, scale * H, scale * W)``, size requirements of `net`.

    Raises:
        ValueError: the halo is negative, the tile is not larger than its halo or smaller than the minimum size of the
            network, or the network does not accept images of this shape.
        TypeError: `net` is not a `Network`.

    Examples:
        >>> from srblocks import load_pretrained
        >>> net, lr = load_pretrained("fsrcnn", scale=2), torch.rand(1, 1, 90, 130)
        >>> with torch.inference_mode():
        ...     torch.allclose(tiled(net, lr, tile=64), net(lr), atol=1e-6)
        True
    """
    require_network(net, "tiled")
    halo = halo_of(receptive_radius(net), tile) if halo is None else halo
    net.check_shape(lr.shape)
    if halo < 0:
        raise ValueError(f"halo must be >= 0, got {halo}")
    if tile < net.min_size:
        raise ValueError(f"tile must be at least {net.min_size} for {type(net).__name__}, got {tile}")
    count, channels, height, width = lr.shape
    sr = lr.new_empty(count, channels, height * net.scale, width * net.scale)
    for window in windows((height, width), (tile, tile), halo, size_multiple=net.size_multiple):
        sr[(..., *window.target(net.scale))] = net(lr[(..., *window.source)])[(..., *window.kept(net.scale))]
    return sr

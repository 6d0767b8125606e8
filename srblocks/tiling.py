"""Images of any size through a network, tile by tile, without seams.

    sr = tiled(net, lr, tile=256)  # net(lr), in the memory of one tile

An output pixel depends on the input within the network's receptive radius alone. Where every tile sees that much more
than what is kept of it (the halo), the tiles together are what the whole image gives, borders included. Networks with a
global operation, such as channel attention, have no such radius: their tiles are an approximation.
"""

import copy
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from ._utils.memory import peak_bytes
from .color import OnLuma, OnYCbCr
from .network import Network, require_network
from .networks import network_name, network_spec

GLOBAL_HALO = 32
"""Largest halo in low-resolution pixels of networks that see the whole image, whose tiles differ with any halo."""

CHROMA_RADIUS = 2
"""How far MATLAB's bicubic interpolation looks, in low-resolution pixels."""

MEMORY = 2**28
"""Bytes for the activations of a tile whose side is chosen automatically."""

_TILES = (1024, 768, 512, 384, 256, 192, 128, 96, 64)

_SIDES = (64, 256, 1024)
"""Lengths of the strips on which a radius is measured; one that reaches the end of the last is called global."""

_INDIFFERENT = {"scale", "scales", "value_range", "mean_shift", "color", "image_channels"}
"""Arguments that change no receptive radius but by the row's scale."""


def receptive_radius(net: Network) -> int | None:
    """Give how far an output pixel looks from its own position, in low-resolution pixels; None = the whole image.

    The registry declares it for its rows; a network whose rows see the whole image is taken to do so with any
    arguments. For any other network it is measured, see `measured_radius`; call that for a network of the registry
    whose modules you replaced.

    Example:
        >>> from srblocks import create_network
        >>> receptive_radius(create_network("edsr_baseline", scale=4))
        36
    """
    if isinstance(net, (OnLuma, OnYCbCr)):
        radius = receptive_radius(net.net)
        return radius if radius is None or isinstance(net, OnYCbCr) else max(radius, CHROMA_RADIUS)
    try:
        spec = network_spec(network_name(net))
    except ValueError:  # a network of the caller's own
        return measured_radius(net)
    if all(declared.radius is None for declared in spec.size_requirements.values()):
        return None
    usual = spec.arguments()
    named = usual.keys() - _INDIFFERENT
    # What JSON cannot hold stands in no configuration: whether it is the usual one is not known.
    if (
        net.scale in spec.size_requirements
        and named <= net.config.keys()
        and all(net.config[n] == usual[n] for n in named)
    ):
        return spec.size_requirements[net.scale].radius
    return measured_radius(net)


@torch.inference_mode()
def measured_radius(net: Network) -> int | None:
    """Measure a receptive radius: what depends on a pixel that is not a number is none either.

    Looks along rows and along columns of images that are narrow the other way, and long beside the reach of every
    convolution, dilated ones too. What a comparison takes from a pixel is not seen, nor what replaces such a value
    (``torch.nan_to_num``) and hands on another.

    Args:
        net: the network; it is not changed.

    Returns:
        The radius in low-resolution pixels, not too small but for such operations; None where no strip was long enough,
        nothing arrived, or the network does not run on strips.
    """
    twin = copy.deepcopy(net).eval()
    longest = net.size_multiple * max((_longest_step(module) for module in net.modules()), default=0)
    for side in _SIDES:
        try:
            reaches = [_reach(twin, side, across) for across in (False, True)]
        except (RuntimeError, ValueError):  # of other sizes than it says
            return None
        if None in reaches:
            return None
        radius = max(reach for reach in reaches if reach is not None)
        if radius + longest < side // 2 - net.size_multiple:
            return radius
    return None


def _longest_step(module: nn.Module) -> int:
    """Give how far apart the outermost taps of a convolution are."""
    if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        return 0
    return max(step * (side - 1) for step, side in zip(module.dilation, module.kernel_size, strict=True))


def _reach(net: Network, side: int, across: bool) -> int | None:
    """Give how many pixels away from a pixel its influence ends, in a strip of that length; None where it has none."""
    step = net.size_multiple
    length, thickness = (-(-max(size, net.min_size) // step) * step for size in (side, 8))
    first = length // 2 // step * step
    weight = next(net.parameters(), torch.empty(()))
    strips = torch.full((step, net.image_channels, thickness, length), 0.5, dtype=weight.dtype, device=weight.device)
    for offset in range(step):
        strips[offset, :, :, first + offset] = torch.nan
    found = net(strips.mT.contiguous()).mT if across else net(strips)
    reaches: list[int] = []
    for offset, columns in enumerate(found.isnan().any(1).any(1)):
        reached = columns.nonzero() // net.scale - (first + offset)
        if not len(reached):
            return None
        reaches.append(int(reached.abs().max()))
    return max(reaches)


@dataclass(frozen=True)
class Span:
    """A stretch of rows or columns: ``start`` to ``stop`` is seen, ``first`` to ``last`` is kept of it."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Window:
    """A tile, in low-resolution pixels of the image.

    Attributes:
        rows: from its upper to its lower end.
        columns: from its left to its right end.
    """

    rows: Span
    columns: Span

    @property
    def source(self) -> tuple[slice, slice]:
        """What the network sees of the image."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    def kept(self, scale: int) -> tuple[slice, slice]:
        """What is kept of the network's output."""
        rows, columns = (
            slice((span.first - span.start) * scale, (span.last - span.start) * scale)
            for span in (self.rows, self.columns)
        )
        return rows, columns

    def target(self, scale: int) -> tuple[slice, slice]:
        """Where that belongs in the enlarged image."""
        rows, columns = (slice(span.first * scale, span.last * scale) for span in (self.rows, self.columns))
        return rows, columns


def windows(size: tuple[int, int], tile: tuple[int, int], halo: int, *, size_multiple: int = 1) -> Iterator[Window]:
    """Cut an image into tiles that are all of one size, as fixed shapes and compiled kernels like them.

    Args:
        size: H and W of the image, multiples of `size_multiple`.
        tile: height and width of what the network sees at once, halo included; a side that the image does not have
            is taken as the image's.
        halo: how much a tile sees beyond what is kept of it, but at the borders of the image.
        size_multiple: H and W of tiles, and where they begin, are multiples of it.

    Raises:
        ValueError: the halo leaves nothing of a tile.

    Example:
        >>> [(w.columns.start, w.columns.first, w.columns.last) for w in windows((8, 20), (8, 10), 2)]
        [(0, 0, 8), (6, 8, 14), (10, 14, 20)]
    """
    rows, columns = (_spans(*pair, halo, size_multiple) for pair in zip(size, tile, strict=True))
    return (Window(*pair) for pair in product(rows, columns))


def least_tile(halo: int, size_multiple: int = 1) -> int:
    """Give the smallest side of a tile of which the halo leaves something.

    Example:
        >>> least_tile(36), least_tile(32, size_multiple=3)
        (73, 69)
    """
    return -(-(2 * halo + size_multiple) // size_multiple) * size_multiple


def _spans(length: int, side: int, halo: int, multiple: int) -> list[Span]:
    side = side // multiple * multiple
    if length <= side:
        return [Span(0, length, 0, length)]
    if side < least_tile(halo, multiple):
        raise ValueError(
            f"tiles of {side} pixels see {halo} of them on both sides as halo, which leaves nothing; "
            f"give tiles of {least_tile(halo, multiple)} or more"
        )
    step = (side - 2 * halo) // multiple * multiple
    starts = [*range(0, length - side, step), length - side]
    firsts = [0, *(start + side - halo for start in starts[:-1])]
    lasts = [*firsts[1:], length]
    return [Span(start, start + side, *kept) for start, *kept in zip(starts, firsts, lasts, strict=True)]


def halo_of(radius: int | None, tile: int) -> int:
    """Give the halo of tiles of that side: the radius, or where there is none, an eighth and at most `GLOBAL_HALO`."""
    return min(GLOBAL_HALO, tile // 8) if radius is None else radius


def automatic_tile(net: Network | None, radius: int | None, *, memory: int = MEMORY) -> int:
    """Choose the side of tiles.

    The largest whose activations fit into `memory`, unless its halo leaves less than a quarter of it. Then one that
    leaves a quarter; a ninth where a quarter needs more than ten times `memory`.

    Args:
        net: the network; None where it is not known.
        radius: its receptive radius; None = the whole image.
        memory: bytes for the activations of one tile.
    """
    halo = radius or 0
    if net is None:
        return max(256, 4 * halo)
    step, channels = net.size_multiple, net.image_channels
    least, enough = (-(-max(side, net.min_size, 32) // step) * step for side in (3 * halo, 4 * halo))
    sides = sorted({-(-side // step) * step for side in (least, enough, *_TILES) if side >= least})

    def largest(most: int) -> int:
        fitting = bisect_right(sides, most, key=lambda side: peak_bytes(net, (1, channels, side, side)))
        return sides[max(fitting - 1, 0)]

    chosen = largest(memory)
    return chosen if chosen >= enough else min(largest(10 * memory), enough)


def tiled(net: Network, lr: Tensor, *, tile: int = 256, halo: int | None = None) -> Tensor:
    """Enlarge images tile by tile.

    Equal to ``net(lr)`` up to rounding where `halo` is the receptive radius or more; the memory of activations is that
    of one tile, at any size of the image.

    Args:
        net: the network, in eval mode where that matters.
        lr: images as the network takes them.
        tile: side of what the network sees at once, halo included, in low-resolution pixels.
        halo: how much a tile sees beyond what is kept of it; None for the receptive radius, see `halo_of` for networks
            that see the whole image, which is an approximation then.

    Shape:
        ``(N, C, H, W) -> (N, C, scale * H, scale * W)``, sizes as those of `net`.

    Raises:
        ValueError: the halo leaves nothing of a tile or is negative, a tile is smaller than the network takes, or the
            images have another shape.
        TypeError: `net` is no `Network`.

    Example:
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
        raise ValueError(f"halo={halo} is negative; give 0 or more")
    if tile < net.min_size:
        raise ValueError(f"tile={tile}: {type(net).__name__} takes images of {net.min_size} pixels per side or more")
    count, channels, height, width = lr.shape
    sr = lr.new_empty(count, channels, height * net.scale, width * net.scale)
    for window in windows((height, width), (tile, tile), halo, size_multiple=net.size_multiple):
        sr[(..., *window.target(net.scale))] = net(lr[(..., *window.source)])[(..., *window.kept(net.scale))]
    return sr

"""What lies far away does not matter: a crop of the image gives a crop of the output, but near its borders.

Which is equivariance to translations, as far as a network with padded borders has it. Networks that look at the whole
image do not have it, anywhere: the registry declares no radius for them.
"""

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from helpers.small_networks import narrow_network, small_network
from helpers.support import cases
from srblocks.network import Network
from srblocks.registry import NetworkSpec
from srblocks.tiling import receptive_radius

EXACT = 1e-9


def scene(net: Network, seed: int, height: int, width: int) -> Tensor:
    """An image of that size, rounded up to one that the network takes."""
    step, generator = net.size_multiple, torch.Generator().manual_seed(seed)
    sides = [-(-max(side, net.min_size) // step) * step for side in (height, width)]
    return torch.rand(1, net.image_channels, *sides, generator=generator, dtype=torch.float64)


def shifted(net: Network, lr: Tensor, moves: tuple[int, int], radius: int) -> tuple[Tensor, Tensor]:
    """The output of the image and that of the image without its first rows and columns, where both see the same."""
    rows, columns = (move * net.size_multiple for move in moves)
    whole, crop = net(lr), net(lr[:, :, rows:, columns:])
    whole = whole[:, :, rows * net.scale :, columns * net.scale :]
    inside = [slice(radius * net.scale * bool(move), None) for move in moves]
    return crop[:, :, inside[0], inside[1]], whole[:, :, inside[0], inside[1]]


@cases(1)
@given(moves=st.tuples(st.integers(0, 4), st.integers(0, 4)), more=st.integers(0, 9), seed=st.integers(0, 2**32))
@torch.inference_mode()
def test_a_moved_image_gives_the_moved_output_beyond_the_radius(
    spec: NetworkSpec, scale: int, moves: tuple[int, int], more: int, seed: int, tally: Counter[str]
) -> None:
    if spec.size_requirements[scale].radius is None:
        net, radius = small_network(spec, scale), 3
        moves = (moves[0] + 1, moves[1])
    else:
        net = narrow_network(spec, scale)
        radius = receptive_radius(net)
    step = net.size_multiple
    height, width = (radius + (move + 1) * step + more + net.min_size for move in moves)
    moved, there = shifted(net, scene(net, seed, height, width), moves, radius)
    assert moved.shape == there.shape
    difference = float((moved - there).abs().max() / there.std())
    if spec.size_requirements[scale].radius is None:
        assert difference > 1e-6, "the registry declares that it looks at the whole image"
    else:
        assert difference < EXACT
    tally["cases of properties of networks"] += 1

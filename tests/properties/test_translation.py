"""Translation equivariance: a crop of the image yields a crop of the output, except within the radius of its borders.

Networks with global operations do not have it at any position; the registry declares no radius for them.
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
SHIFTS = [(rows, columns) for rows in (1, 2, 3, 4, 0) for columns in (2, 3, 4, 1, 0)]
"""In rows and columns. The first one is the usual example."""


def noise(net: Network, seed: int, height: int, width: int) -> Tensor:
    """Return a random image of this size, rounded up to a valid one."""
    step, generator = net.size_multiple, torch.Generator().manual_seed(seed)
    sides = [-(-max(side, net.min_size) // step) * step for side in (height, width)]
    return torch.rand(1, net.image_channels, *sides, generator=generator, dtype=torch.float64)


def common_outputs(net: Network, lr: Tensor, shift: tuple[int, int], radius: int) -> tuple[Tensor, Tensor]:
    """Return the outputs of the image and of the image without its first rows and columns, beyond the radius."""
    rows, columns = (steps * net.size_multiple for steps in shift)
    full, crop = net(lr), net(lr[:, :, rows:, columns:])
    full = full[:, :, rows * net.scale :, columns * net.scale :]
    inside = [slice(radius * net.scale * bool(steps), None) for steps in shift]
    return crop[:, :, inside[0], inside[1]], full[:, :, inside[0], inside[1]]


@cases(1)
@given(shift=st.sampled_from(SHIFTS), more=st.integers(0, 9), seed=st.integers(0, 2**32))
@torch.inference_mode()
def test_output_shifts_with_the_image_beyond_the_receptive_radius(
    spec: NetworkSpec, shift: tuple[int, int], more: int, seed: int, tally: Counter[str]
) -> None:
    for scale in spec.scales:
        is_local = spec.size_requirements[scale].radius is not None
        net = narrow_network(spec, scale) if is_local else small_network(spec, scale)
        radius = receptive_radius(net) if is_local else 3
        moves = shift if is_local else (shift[0] + 1, shift[1])
        height, width = (radius + (steps + 1) * net.size_multiple + more + net.min_size for steps in moves)
        shifted, expected = common_outputs(net, noise(net, seed, height, width), moves, radius)
        assert shifted.shape == expected.shape
        difference = float((shifted - expected).abs().max() / expected.std())
        if is_local:
            assert difference < EXACT, scale
        else:
            assert difference > 1e-6, "the registry declares global operations"
        tally["cases of properties of networks"] += 1

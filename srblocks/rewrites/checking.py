"""Checking a rewrite on the network itself: its forward may use its modules as no rewrite can foresee."""

import torch
from torch import Tensor

from ..network import Network
from .context import image_for

TOLERANCE = 1e-9
"""Largest difference in float64 that counts as rounding, relative to the largest value."""

_SIDE = 8
"""The least H of the image."""


class Reference:
    """What a network in float64 gives, to compare a rewritten one with.

    Args:
        net: the network.
    """

    def __init__(self, net: Network) -> None:
        self._net = net
        self._outputs: dict[tuple[int, int], list[Tensor]] = {}

    def problem(self, net: Network) -> str | None:
        """Tell why `net` is not the same function as the network; None where it is.

        Compared are the outputs, `Network.intermediate_outputs` included, on one small image.
        """
        smallest = -(-max(net.min_size, _SIDE) // net.size_multiple) * net.size_multiple
        size = smallest, smallest + 3 * net.size_multiple
        try:
            found = _outputs(net, size)
        except Exception as error:  # a forward of the user's own may raise anything
            return f"it fails ({type(error).__name__}: {error})"
        if size not in self._outputs:
            self._outputs[size] = _outputs(self._net, size)
        wanted = self._outputs[size]
        if len(found) != len(wanted) or not all(map(_same, found, wanted)):
            return "its output differs"
        return None


def _outputs(net: Network, size: tuple[int, int]) -> list[Tensor]:
    with torch.inference_mode():
        outputs = [net(image_for(net, *size))]
        if type(net).intermediate_outputs is not Network.intermediate_outputs:
            outputs += net.intermediate_outputs(image_for(net, *size))
    return outputs


def _same(one: Tensor, other: Tensor) -> bool:
    largest = other.nan_to_num(0, 0, 0).abs().max().item()
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=TOLERANCE * largest, equal_nan=True)

"""Equivalence check of a rewritten network against the original on a small image, in float64."""

import torch
from torch import Tensor

from .._utils.rounding import round_up
from ..network import Network
from .matching import example_image

TOLERANCE = 1e-9
"""Largest difference in float64 that counts as rounding, relative to the largest value."""

_MIN_SIDE = 8
"""Lower bound for the height of the test image."""


class EquivalenceCheck:
    """Comparison of rewritten networks with the original, whose outputs are computed once per image size.

    A user-defined ``forward`` may use its modules in ways that no rewrite can foresee, so every rewrite is checked on
    the network itself.

    Args:
        net: the original network, in float64.
    """

    def __init__(self, net: Network) -> None:
        self._net = net
        self._outputs: dict[tuple[int, int], list[Tensor]] = {}

    def difference(self, net: Network) -> str | None:
        """Return why `net` does not compute the same function as the original; None if it does.

        Compares the outputs, including those of `Network.intermediate_outputs`, on one small image.
        """
        side = round_up(max(net.min_size, _MIN_SIDE), net.size_multiple)
        size = side, side + 3 * net.size_multiple
        try:
            actual = _outputs(net, size)
        except Exception as error:  # a user-defined forward may raise anything
            return f"it fails ({type(error).__name__}: {error})"
        if size not in self._outputs:
            self._outputs[size] = _outputs(self._net, size)
        expected = self._outputs[size]
        if len(actual) != len(expected) or not all(map(_is_close, actual, expected)):
            return "its output differs"
        return None


def _outputs(net: Network, size: tuple[int, int]) -> list[Tensor]:
    with torch.inference_mode():
        outputs = [net(example_image(net, *size))]
        if type(net).intermediate_outputs is not Network.intermediate_outputs:
            outputs += net.intermediate_outputs(example_image(net, *size))
    return outputs


def _is_close(actual: Tensor, expected: Tensor) -> bool:
    largest = expected.nan_to_num(0, 0, 0).abs().max().item()
    return actual.shape == expected.shape and torch.allclose(
        actual, expected, rtol=0, atol=TOLERANCE * largest, equal_nan=True
    )

"""Padding by reflection, for models whose image sizes must be multiples of a number."""

import numpy as np
from numpy.typing import NDArray


def reflected(size: int, padded: int) -> NDArray[np.intp]:
    """Return the indices that extend an axis at its end by reflection; an axis of one element repeats it.

    Args:
        size: length of the axis.
        padded: its length after padding.

    Examples:
        >>> reflected(4, 6).tolist(), reflected(2, 5).tolist(), reflected(1, 3).tolist()
        ([0, 1, 2, 3, 2, 1], [0, 1, 0, 1, 0], [0, 0, 0])
    """
    return np.pad(np.arange(size), (0, padded - size), mode="reflect")

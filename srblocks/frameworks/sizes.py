"""The smallest images that a network takes, as far as an upsampler of images decides it."""

from torch import nn


def least_side(upsampler: nn.Module | None, least: int = 1) -> int:
    """Give the smallest input side that an upsampler of images takes, and at least `least`."""
    return max(least, getattr(upsampler, "min_size", 1))

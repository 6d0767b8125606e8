"""Random images for losses."""

import torch
from hypothesis import strategies as st
from torch import Tensor

SEEDS = st.integers(0, 10_000)
GRAY = (1, 1, 2, 2)


def images(seed: int, *shape: int, count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(count)]

"""Branches for several scales in one network."""

from collections.abc import Mapping

from torch import Tensor, nn


class MultiScale(nn.Module):
    """One branch per scale, of which that of `scale` runs.

    The scale-specific heads and upsamplers of Lim et al., *Enhanced Deep Residual Networks for Single Image
    Super-Resolution*, CVPRW 2017, arXiv:1707.02921, Fig. 5 (MDSR), and of CARN and ProSR.

    Args:
        scale: the scale whose branch runs.
        branches: scale to module; all are kept, so that their weights train, save and load together.

    Shape:
        as the branch that runs.

    Raises:
        ValueError: no branch for `scale`.

    Example:
        >>> branch = MultiScale(3, {2: nn.PixelShuffle(2), 3: nn.PixelShuffle(3)})
        >>> branch(torch.rand(1, 36, 4, 5)).shape
        torch.Size([1, 4, 12, 15])
    """

    def __init__(self, scale: int, branches: Mapping[int, nn.Module]) -> None:
        super().__init__()
        if scale not in branches:
            raise ValueError(f"scale={scale} has no branch; scales={list(branches)} have")
        self.branches = nn.ModuleDict({f"x{each}": branch for each, branch in branches.items()})
        self.active = f"x{scale}"

    def forward(self, x: Tensor) -> Tensor:
        """Run the branch of the scale."""
        for name, branch in self.branches.items():
            if name == self.active:
                x = branch(x)
        return x

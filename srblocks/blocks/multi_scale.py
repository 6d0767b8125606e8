"""Scale-specific branches in one network."""

from collections.abc import Mapping

from torch import Tensor, nn


class MultiScale(nn.Module):
    """Scale-specific branches: one module per scale, of which only that of `scale` runs.

    The scale-specific heads and upsamplers of Lim et al., *Enhanced Deep Residual Networks for Single Image
    Super-Resolution*, CVPRW 2017, arXiv:1707.02921, Fig. 5 (MDSR), and of CARN and ProSR.

    Args:
        scale: scale factor of the branch that runs.
        branches: module of each scale; all are kept, so that their weights are trained, saved and loaded together.

    Shape:
        As the branch that runs.

    Raises:
        ValueError: no branch for `scale`.

    Examples:
        >>> upsampler = MultiScale(3, {2: nn.PixelShuffle(2), 3: nn.PixelShuffle(3)})
        >>> upsampler(torch.rand(1, 36, 4, 5)).shape
        torch.Size([1, 4, 12, 15])
    """

    def __init__(self, scale: int, branches: Mapping[int, nn.Module]) -> None:
        super().__init__()
        if scale not in branches:
            raise ValueError(f"no branch for scale {scale}; available scales: {', '.join(map(str, branches))}")
        self.branches = nn.ModuleDict({f"x{each}": branch for each, branch in branches.items()})
        self.active = f"x{scale}"

    def forward(self, x: Tensor) -> Tensor:
        """Run the branch of the scale."""
        for name, branch in self.branches.items():
            if name == self.active:
                x = branch(x)
        return x

    def extra_repr(self) -> str:
        """Return the name of the branch that runs."""
        return f"active={self.active!r}"

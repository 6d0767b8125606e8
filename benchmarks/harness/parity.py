"""Weights under which a comparison of outputs means something, and the comparison."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srblocks import create_network
from srblocks.network import Network
from srblocks_export.config import TOLERANCES

TOLERANCE = TOLERANCES["fp32"]
"""Largest error of a float32 output, relative to the standard deviation of the reference."""


class _UnitSpread:
    """A forward hook that scales a convolution by the spread of its output, the first time that it runs."""

    def __init__(self) -> None:
        self.seen: set[nn.Module] = set()

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        spread = float(output.std()) if output.numel() > 1 else 0.0
        if layer in self.seen or spread == 0.0:
            return None
        self.seen.add(layer)
        layer.weight.div_(spread)
        if layer.bias is not None:
            layer.bias.div_(spread)
        return output / spread


@torch.no_grad()
def give_unit_spread(net: Network, *, size: int = 24) -> Network:
    """Give a fresh network weights whose features neither fade nor grow, and statistics and biases that are not zero.

    Fresh initialisations hide errors: a last layer near zero makes every variant agree. Here each convolution is scaled
    on random images until its output has unit spread, and norms have the statistics of their inputs.
    """
    hook, handles = _UnitSpread(), []
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and module.weight.requires_grad:
            if module.bias is not None:
                module.bias.normal_(0, 0.1)
            handles.append(module.register_forward_hook(hook))
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            module.momentum = 1.0
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.1)
        elif isinstance(module, nn.PReLU):
            module.weight.uniform_(0.1, 0.4)
    side = max(net.min_size, -(-size // net.size_multiple) * net.size_multiple)
    net.train()(torch.rand(2, net.image_channels, side, side))
    for handle in handles:
        handle.remove()
    return net.eval()


@dataclass(frozen=True)
class Parity:
    """How an output compares with that of the plain network in float32.

    Attributes:
        largest: the largest error; None where a value is not finite.
        relative: the same, relative to the standard deviation of the reference.
        decibels: PSNR of the reference's range; None also where the outputs are equal.
        ok: the error is within the tolerance of exports of that precision.
    """

    largest: float | None
    relative: float | None
    decibels: float | None
    ok: bool

    def __str__(self) -> str:
        """The figure that tells most, and whether it is good enough."""
        if self.relative is None:
            return "WRONG, not finite"
        exact = f"{self.relative:.0e}" if self.ok or self.relative < 1 else f"{self.relative:.1f}"
        told = f"{self.decibels:.0f} dB" if self.ok and self.relative > TOLERANCE and self.decibels else exact
        return told if self.ok else f"WRONG, {told}"


def parity(output: Tensor, reference: Tensor, precision: str, *, tf32: bool = False) -> Parity:
    """Compare an output with that of the plain network in float32; with TF32, float32 rounds as fp16 does."""
    if output.shape != reference.shape or not bool(output.isfinite().all()):
        return Parity(None, None, None, ok=False)
    tolerance = TOLERANCES["fp16" if tf32 and precision == "fp32" else precision]
    relative, decibels = relative_error(output, reference), psnr(output, reference)
    largest = float((output.double() - reference.double()).abs().max())
    return Parity(largest, relative, round(decibels, 2) if relative else None, ok=relative <= tolerance)


def drawn(network: str, scale: int, **config: object) -> Network:
    """A registered network in eval mode with weights that show errors, always the same."""
    torch.manual_seed(0)
    return give_unit_spread(create_network(network, scale=scale, **config))


def relative_error(output: Tensor, reference: Tensor) -> float:
    """The largest error, relative to the standard deviation of the reference."""
    return float((output.double() - reference.double()).abs().max() / reference.double().std())


def psnr(output: Tensor, reference: Tensor, *, peak: float | None = None) -> float:
    """Decibels of a peak, or else of the reference's range, over the mean error; infinite for equal outputs."""
    error = float((output.double() - reference.double()).square().mean())
    span = float(reference.max() - reference.min()) if peak is None else peak
    return 10 * math.log10(span**2 / error) if error else math.inf

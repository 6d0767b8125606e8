"""Random weights that make output comparisons meaningful, and the comparison itself."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srblocks import create_network
from srblocks._utils.rounding import round_up
from srblocks.metrics import decibels
from srblocks.network import Network
from srblocks_export.config import TOLERANCES

TOLERANCE = TOLERANCES["fp32"]
"""Largest accepted error of a float32 output, relative to the standard deviation of the reference."""


class _UnitSpread:
    """Forward hook that scales a convolution to unit output spread the first time it runs."""

    def __init__(self) -> None:
        self.scaled: set[nn.Module] = set()

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        spread = float(output.std()) if output.numel() > 1 else 0.0
        if layer in self.scaled or spread == 0.0:
            return None
        self.scaled.add(layer)
        layer.weight.div_(spread)
        if layer.bias is not None:
            layer.bias.div_(spread)
        return output / spread


@torch.no_grad()
def set_unit_spread_weights(net: Network, *, size: int = 24) -> Network:
    """Set random weights, biases and statistics with which activations neither vanish nor explode.

    Default initializations hide errors: with a last layer close to zero all implementations agree. Here each
    convolution is scaled on random images to unit output spread, and norms get the statistics of their inputs.
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
    side = max(net.min_size, round_up(size, net.size_multiple))
    net.train()(torch.rand(2, net.image_channels, side, side))
    for handle in handles:
        handle.remove()
    return net.eval()


@dataclass(frozen=True)
class Parity:
    """Agreement of an output with the reference in float32.

    Attributes:
        max_error: largest absolute error; None if a value is not finite.
        relative_error: largest error relative to the standard deviation of the reference.
        psnr_db: PSNR with the range of the reference as peak; also None for equal outputs.
        ok: True if the error is within the tolerance of exports in this precision.
    """

    max_error: float | None
    relative_error: float | None
    psnr_db: float | None
    ok: bool

    def __str__(self) -> str:
        """PSNR or relative error, whichever is more informative; "WRONG" above the tolerance."""
        if self.relative_error is None:
            return "WRONG, not finite"
        exact = f"{self.relative_error:.0e}" if self.ok or self.relative_error < 1 else f"{self.relative_error:.1f}"
        text = f"{self.psnr_db:.0f} dB" if self.ok and self.relative_error > TOLERANCE and self.psnr_db else exact
        return text if self.ok else f"WRONG, {text}"


def parity(output: Tensor, reference: Tensor, precision: str, *, tf32: bool = False) -> Parity:
    """Compare an output with the reference in float32; with TF32, float32 has the tolerance of fp16."""
    if output.shape != reference.shape or not bool(output.isfinite().all()):
        return Parity(None, None, None, ok=False)
    tolerance = TOLERANCES["fp16" if tf32 and precision == "fp32" else precision]
    relative, decibels = relative_error(output, reference), psnr(output, reference)
    largest = float((output.double() - reference.double()).abs().max())
    return Parity(largest, relative, round(decibels, 2) if relative else None, ok=relative <= tolerance)


def random_network(network: str, scale: int, **config: object) -> Network:
    """Return a registered network in eval mode with fixed random weights that reveal errors."""
    torch.manual_seed(0)
    return set_unit_spread_weights(create_network(network, scale=scale, **config))


def relative_error(output: Tensor, reference: Tensor) -> float:
    """Return the largest error relative to the standard deviation of the reference."""
    return float((output.double() - reference.double()).abs().max() / reference.double().std())


def psnr(output: Tensor, reference: Tensor, *, peak: float | None = None) -> float:
    """Return the PSNR in decibels; the peak defaults to the range of the reference; infinite for equal outputs."""
    error = float((output.double() - reference.double()).square().mean())
    span = float(reference.max() - reference.min()) if peak is None else peak
    return decibels(error / span**2)

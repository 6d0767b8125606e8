"""Fuse every re-parameterized convolution into the one convolution that it equals, borders included."""

from torch import nn

from ..blocks import BlueprintSeparableConv, ReparameterizedConv
from .context import RewriteContext
from .matching import is_exactly

NAME = "reparameterization"


def rewrite(context: RewriteContext) -> None:
    """Fuse every re-parameterized convolution."""
    fused: list[str] = []
    for path, module in list(context.net.named_modules()):
        if any(path.startswith(f"{outer}.") for outer in fused):
            continue
        if isinstance(module, ReparameterizedConv) and is_exactly(module, type(module)):
            layers = sum(isinstance(layer, nn.Conv2d) for layer in module.modules())
            single = module.fused()
            context.replace_all(module, single)
            fused.append(path)
            kernel = "x".join(map(str, single.kernel_size))
            context.applied(NAME, path, f"{layers} convolutions fused into one {kernel} convolution")
        elif is_exactly(module, BlueprintSeparableConv):
            context.declined(NAME, path, _reason_to_keep(module))


def _reason_to_keep(module: BlueprintSeparableConv) -> str:
    if module.pointwise.bias is not None and module.depthwise.padding != (0, 0):
        return "exact only in the interior, because zero padding comes after the bias of its 1x1 convolution"
    return "one dense convolution would need more multiplications"

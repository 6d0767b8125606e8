"""`to_precision`: half-precision inference with float32 inputs and outputs."""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from .._utils.rounding import round_up
from ..color import OnLuma, OnYCbCr
from ..errors import ArgumentError
from ..network import Network, require_network
from .float32_modules import wrap_float32
from .module_paths import device_of, dtype_of, for_inference, match_paths, parent_paths


def to_precision(
    net: Network, precision: str, *, fp32_modules: Collection[str] = (), channels_last: bool = True
) -> Network:
    """Return a network that computes in another precision, for inference, with float32 inputs and outputs.

    Convolution weights are converted to the channels_last memory format, which their outputs follow. Color conversions
    around a network (`OnLuma`, `OnYCbCr`) stay in float32. The result can be scripted, traced and exported like `net`.

    Args:
        net: the network; it is not changed.
        precision: "fp16" (for GPUs; slow on CPUs), "bf16" (the range of float32 with 2 to 3 digits) or "fp32" (only the
            memory format changes).
        fp32_modules: regular expressions; a module whose path fully matches one of them computes in float32, with all
            its submodules. Its inputs and outputs have the surrounding precision.
        channels_last: convert the weights to channels_last; required for bf16.

    Returns:
        The converted network, in eval mode, at the one scale of `net`, on its device, without gradients of its weights.

    Raises:
        ArgumentError: `fp32_modules` has an expression that matches no module, or a module that cannot stay in float32
            on its own.
        ValueError: an unknown precision, bf16 without channels_last, or `net` is already converted.
        TypeError: `net` is not a `Network`.

    Examples:
        >>> from srblocks import create_network
        >>> net = to_precision(create_network("fsrcnn", scale=2), "bf16", fp32_modules=["upsampler"])
        >>> net(torch.rand(1, 1, 8, 9)).dtype, next(net.parameters()).dtype
        (torch.float32, torch.bfloat16)
    """
    require_network(net, "to_precision")
    if precision == "bf16" and not channels_last:
        raise ValueError("to_precision: bf16 requires channels_last=True; other memory formats are slow")
    if any(isinstance(module, InPrecision) for module in net.modules()):
        raise ValueError("to_precision: the network is already converted; pass the original network")
    dtype = dtype_of(precision)
    prepared = for_inference(net)
    modules = list(prepared.named_modules(remove_duplicate=False))
    chosen = match_paths([path for path, _ in modules], fp32_modules)
    kept: set[nn.Module] = {
        module for path, module in modules if any(parent in chosen for parent in parent_paths(path))
    }
    inner = prepared.net if isinstance(prepared, (OnLuma, OnYCbCr)) else prepared
    for module in inner.modules():
        _convert(module, torch.float32 if module in kept else dtype, channels_last)
    if dtype != torch.float32:
        wrap_float32(inner, kept)
    converted = InPrecision(inner, precision).eval()
    if chosen:
        _check_runs(converted)
    if isinstance(prepared, (OnLuma, OnYCbCr)):
        prepared.net = converted
        return prepared
    return converted


class InPrecision(Network):
    """Wrapper that runs a converted network on float32 images; created by `to_precision`.

    Args:
        net: the network with converted weights.
        precision: a name of `PRECISIONS`.
    """

    def __init__(self, net: Network, precision: str) -> None:
        super().__init__(
            scale=net.scale,
            image_channels=net.image_channels,
            min_size=net.min_size,
            size_multiple=net.size_multiple,
            color=net.color,
        )
        self.rewrites = net.rewrites
        self.net = net
        self.dtype = dtype_of(precision)

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the images ``lr``."""
        return self.net(lr.to(self.dtype)).float()

    def at_scale(self, scale: int) -> Network:
        """Return this network, which has one scale only.

        Raises:
            ValueError: `scale` is another one.
        """
        if scale != self.scale:
            raise ValueError(f"InPrecision: converted for x{self.scale} only; call at_scale before to_precision")
        return self


def _check_runs(net: Network) -> None:
    """Run the network once on a small image.

    Raises:
        ArgumentError: a module accesses submodules of one that stays in float32.
    """
    side = round_up(net.min_size, net.size_multiple)
    try:
        with torch.inference_mode():
            net(torch.zeros(1, net.image_channels, side, side, device=device_of(net)))
    except AttributeError as error:
        cause = f"the parent of one of these modules accesses its parts ({error})"
        raise ArgumentError(cause, "list the parent instead", argument="fp32_modules") from error


def _convert(module: nn.Module, dtype: torch.dtype, channels_last: bool) -> None:
    """Convert the parameters and buffers of the module itself; derived constants are recomputed."""

    def converted(tensor: Tensor) -> Tensor:
        memory_format = torch.channels_last if channels_last and tensor.ndim == 4 else torch.preserve_format
        return tensor.to(dtype if tensor.is_floating_point() else tensor.dtype, memory_format=memory_format)

    module._apply(converted, recurse=False)  # pyright: ignore[reportPrivateUsage]

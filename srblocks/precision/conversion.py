"""`to_precision`: a network in half precision, for and to float32 images."""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from ..color import OnLuma, OnYCbCr
from ..network import Network, require_network
from .float32_modules import wrap_float32
from .module_paths import device_of, dtype_of, for_inference, match_paths, parent_paths


def to_precision(
    net: Network, precision: str, *, fp32_modules: Collection[str] = (), channels_last: bool = True
) -> Network:
    """Give a network that computes in another precision, for inference, from and to float32 images.

    The weights of its convolutions are laid out channels last, which their outputs follow. Conversions of color around
    a network (`OnLuma`, `OnYCbCr`) stay in float32. The result scripts, traces and exports as `net` does.

    Args:
        net: the network; it is not changed.
        precision: "fp16" (for GPUs; CPUs take long), "bf16" (the range of float32 with 2 to 3 digits) or "fp32" (the
            layout alone).
        fp32_modules: regular expressions; a module whose whole path fits one computes in float32, with all modules
            inside it. What it takes and gives has the precision around it.
        channels_last: lay the weights out channels last; bf16 wants it.

    Returns:
        The network, in eval mode, at the one scale of `net`, on its device, without gradients of its weights.

    Raises:
        ValueError: an unknown precision, an expression that fits no module, a module that cannot stay in float32 by
            itself, bf16 without channels last, or `net` has its precision from here already.
        TypeError: `net` is no `Network`.

    Example:
        >>> from srblocks import create_network
        >>> net = to_precision(create_network("fsrcnn", scale=2), "bf16", fp32_modules=["upsampler"])
        >>> net(torch.rand(1, 1, 8, 9)).dtype, next(net.parameters()).dtype
        (torch.float32, torch.bfloat16)
    """
    require_network(net, "to_precision")
    if precision == "bf16" and not channels_last:
        raise ValueError("to_precision: bf16 is slow in any other layout; leave channels_last=True")
    if any(isinstance(module, InPrecision) for module in net.modules()):
        raise ValueError("to_precision: this network has its precision already; give the one that it was made from")
    dtype = dtype_of(precision)
    whole = for_inference(net)
    modules = list(whole.named_modules(remove_duplicate=False))
    chosen = match_paths([path for path, _ in modules], fp32_modules)
    kept: set[nn.Module] = {module for path, module in modules if any(place in chosen for place in parent_paths(path))}
    inner = whole.net if isinstance(whole, (OnLuma, OnYCbCr)) else whole
    for module in inner.modules():
        _convert(module, torch.float32 if module in kept else dtype, channels_last)
    if dtype != torch.float32:
        wrap_float32(inner, kept)
    converted = InPrecision(inner, precision).eval()
    if chosen:
        _try(converted)
    if isinstance(whole, (OnLuma, OnYCbCr)):
        whole.net = converted
        return whole
    return converted


class InPrecision(Network):
    """A network whose weights are of another precision, for float32 images; `to_precision` makes it.

    Args:
        net: the network, its weights converted.
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
        """Enlarge the images ``lr``."""
        return self.net(lr.to(self.dtype)).float()

    def at_scale(self, scale: int) -> Network:
        """Give this network, which serves one scale alone.

        Raises:
            ValueError: another scale.
        """
        if scale != self.scale:
            raise ValueError(f"InPrecision: converted for x{self.scale} alone; call at_scale before to_precision")
        return self


def _try(net: Network) -> None:
    """Run the network once on a small image.

    Raises:
        ValueError: a module reads from within another one that is to stay in float32.
    """
    side = -(-net.min_size // net.size_multiple) * net.size_multiple
    try:
        with torch.inference_mode():
            net(torch.zeros(1, net.image_channels, side, side, device=device_of(net)))
    except AttributeError as error:
        raise ValueError(
            f"fp32_modules: one of them is used in parts by the module that holds it ({error}); name that one"
        ) from error


def _convert(module: nn.Module, dtype: torch.dtype, channels_last: bool) -> None:
    """Convert what the module itself holds; constants that it derives are derived again."""

    def converted(tensor: Tensor) -> Tensor:
        layout = torch.channels_last if channels_last and tensor.ndim == 4 else torch.preserve_format
        return tensor.to(dtype if tensor.is_floating_point() else tensor.dtype, memory_format=layout)

    module._apply(converted, recurse=False)  # pyright: ignore[reportPrivateUsage]

"""Module matching: exact classes, container contents and the shapes that flow through them."""

from collections.abc import Callable
from typing import TypeGuard, TypeVar

import torch
from torch import nn

from .._utils.rounding import round_up
from ..network import Network

ModuleType = TypeVar("ModuleType", bound=nn.Module)


def is_exactly(module: nn.Module | None, cls: type[ModuleType]) -> TypeGuard[ModuleType]:
    """Return whether `module` computes exactly what `cls` does: no overridden forward and no hooks."""
    if not isinstance(module, cls) or "forward" in vars(module) or type(module).forward is not cls.forward:
        return False
    return not any(vars(module)[hooks] for hooks in ("_forward_hooks", "_forward_pre_hooks"))


def sequential_children(module: nn.Module) -> list[str] | None:
    """Return the names of the children in execution order; None unless `module` is an unmodified ``nn.Sequential``."""
    if not is_exactly(module, nn.Sequential):
        return None
    return [name for name, _ in module.named_modules(remove_duplicate=False) if name and "." not in name]


def own_sequential_slots(net: Network) -> list[list[str]]:
    """Return `net.sequential_slots()`, or [] if a subclass overrides ``forward`` without describing its slots."""
    order = type(net).__mro__
    forward = next(i for i, cls in enumerate(order) if "forward" in vars(cls))
    slots = next(i for i, cls in enumerate(order) if "sequential_slots" in vars(cls))
    return net.sequential_slots() if slots <= forward else []


def example_image(net: Network, height: int, width: int) -> torch.Tensor:
    """Return a fixed noise image of shape (1, C, height, width) with the dtype and on the device of the network."""
    like = next(tensor for tensor in [*net.parameters(), *net.buffers()] if tensor.is_floating_point())
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, net.image_channels, height, width, generator=generator, dtype=torch.float64).to(like)


def record_shapes(net: Network, size: int) -> dict[str, tuple[torch.Size, torch.Size]]:
    """Run `net` on a square image and return the input and output shapes of each module by path.

    If a module runs several times, its smallest input counts. Modules without exactly one input and one output tensor
    are left out. The result is empty if the network fails on such an image.

    Args:
        net: the network.
        size: H and W of the image, rounded up to a valid size.
    """
    shapes: dict[str, tuple[torch.Size, torch.Size]] = {}

    def recorder(path: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(_: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            if len(inputs) == 1 and isinstance(inputs[0], torch.Tensor) and isinstance(output, torch.Tensor):
                previous = shapes.get(path)
                if previous is None or inputs[0].shape.numel() < previous[0].numel():
                    shapes[path] = (inputs[0].shape, output.shape)

        return hook

    hooks = [module.register_forward_hook(recorder(path)) for path, module in net.named_modules()]
    size = round_up(size, net.size_multiple)
    try:
        with torch.inference_mode():
            net(example_image(net, size, size))
    except Exception:  # a user-defined forward may raise anything
        return {}
    finally:
        for hook in hooks:
            hook.remove()
    return shapes

"""Modules from factory arguments such as `act`, `norm` and `attention`."""

import difflib
from collections.abc import Callable

from torch import nn

Activation = str | Callable[[], nn.Module]
"""Name of an activation, or a factory of one: "relu", `nn.ReLU`, ``partial(nn.LeakyReLU, 0.2)``."""

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "hardswish": nn.Hardswish,
    "leaky_relu": nn.LeakyReLU,
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
"""Activations that have a name; each is built with torch's default arguments."""


def activation(act: Activation | None, *, argument: str = "act") -> nn.Module:
    """Return a new activation module.

    Args:
        act: name of an activation (see `ACTIVATIONS`) or a factory without arguments; None for `nn.Identity`.
        argument: name of the caller's argument, for error messages.

    Raises:
        ValueError: unknown name.
        TypeError: `act` is a module instead of a factory, or its result is not a module.

    Examples:
        >>> activation("silu"), activation(lambda: nn.LeakyReLU(0.2))
        (SiLU(), LeakyReLU(negative_slope=0.2))
    """
    if isinstance(act, str):
        if act not in ACTIVATIONS:
            close = difflib.get_close_matches(act.lower(), ACTIVATIONS, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{argument} must be one of {', '.join(ACTIVATIONS)}, or a factory, got {act!r}{hint}")
        return ACTIVATIONS[act]()
    return from_factory(argument, act)


def from_factory(argument: str, factory: Callable[..., nn.Module] | None, *channels: int) -> nn.Module:
    """Return a new module from a factory argument.

    Args:
        argument: name of the caller's argument, for error messages.
        factory: class or function that returns a module; None for `nn.Identity`.
        channels: arguments of the factory.

    Raises:
        TypeError: `factory` is a module or not callable, or its result is not a module.

    Examples:
        >>> from_factory("layer", nn.PixelShuffle, 2)
        PixelShuffle(upscale_factor=2)
    """
    if factory is None:
        return nn.Identity()
    if isinstance(factory, nn.Module):
        name = type(factory).__name__
        raise TypeError(
            f"{argument} must be a factory, got a {name} module; "
            f"pass the class {name}, or functools.partial({name}, ...) for other arguments"
        )
    if not callable(factory):
        raise TypeError(f"{argument} must be a factory of modules such as a class, got {factory!r}")
    module = factory(*channels)
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{argument} must return a torch.nn.Module, got {type(module).__name__}")
    return module

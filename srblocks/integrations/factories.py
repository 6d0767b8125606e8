"""One factory function per network, for libraries that look models up by name."""

import inspect
from collections.abc import Callable
from typing import Any

from ..factory import create_network
from ..network import Network
from ..pretrained import list_pretrained, pretrained_path
from ..registry import NetworkSpec


def factory(spec: NetworkSpec, name: str) -> Callable[..., Network]:
    """Return a function that builds a registered network.

    The function takes ``scale``, ``pretrained`` (True loads the bundled weights) and the other arguments of
    `srblocks.create_network`. It returns the network in training mode.

    Args:
        spec: the network.
        name: the ``__name__`` of the function.

    Examples:
        >>> from srblocks.networks import network_spec
        >>> build = factory(network_spec("fsrcnn"), "srblocks_fsrcnn")
        >>> build.__name__, build(scale=3, width=32).config["width"]
        ('srblocks_fsrcnn', 32)
    """

    def build(*, scale: int | None = None, pretrained: bool = False, **arguments: Any) -> Network:
        if not pretrained:
            return create_network(spec.name, scale=scale, **arguments)
        scale = spec.default_scale if scale is None else scale
        path = pretrained_path(spec.name, scale=scale)
        if path is None:
            raise ValueError(
                f"{name}: no bundled weights for {spec.name} at scale {scale} (available: "
                f"{', '.join(list_pretrained())}); pass weights=FILE instead of pretrained=True"
            )
        return create_network(spec.name, scale=scale, weights=path, **arguments)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = _documentation(spec)
    return build


def _documentation(spec: NetworkSpec) -> str:
    summary = (inspect.getdoc(spec.constructor[0]) or spec.name).partition("\n")[0]
    bundled = [f"x{scale}" for scale in spec.scales if pretrained_path(spec.name, scale=scale)]
    further = ", ".join(f"{key}={value!r}" for key, value in spec.arguments().items() if key != "scale")
    return inspect.cleandoc(f"""
        {summary}

        {spec.paper}. Images have {spec.image_channels} channel(s) ({spec.color}) in [0, 1].

        Args:
            scale: upscaling factor, one of {", ".join(map(str, spec.scales))}; default: the smallest.
            pretrained: load the bundled weights ({", ".join(bundled) or "none available"}).
            weights: checkpoint file, see srblocks.load_checkpoint.
            arguments: {further}.
    """)

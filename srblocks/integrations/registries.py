"""Register the networks in training frameworks."""

from collections.abc import Mapping
from typing import Any

from ..networks import network_specs
from .factories import factory


def register(registry: Any, *, prefix: str = "srblocks_") -> list[str]:
    """Register a factory function for every network, as ``<prefix><network>``.

    Config files then refer to the network by name, with the arguments of `srblocks.create_network` and ``pretrained``:
    ``network_g: {type: srblocks_rcan, scale: 4}`` in BasicSR's YAML, and
    ``dict(type="srblocks_rcan", scale=4)`` in mmengine.

    Args:
        registry: object with ``register_module(name=..., module=...)`` (mmengine, mmcv) or ``register(function)``
            (BasicSR, traiNNer-redux, fvcore), which uses the function's name.
        prefix: avoids clashes with the framework's own names.

    Returns:
        The registered names. Names that srblocks registered earlier are left unchanged.

    Raises:
        TypeError: `registry` has neither method. Name clashes raise the registry's own error.

    Examples:
        >>> from mmengine.registry import Registry
        >>> models = Registry("example", scope="example")
        >>> register(models)[:2]
        ['srblocks_bsrn', 'srblocks_bsrn_s']
        >>> models.build({"type": "srblocks_espcn", "scale": 3}).scale
        3
    """
    by_name, by_function = getattr(registry, "register_module", None), getattr(registry, "register", None)
    if by_name is None and by_function is None:
        raise TypeError(f"register: expected a registry with register_module() or register(), got {registry!r}")
    functions = [factory(spec, prefix + spec.name) for spec in network_specs()]
    for function in functions:
        if _is_ours(registry, function.__name__):
            continue
        if by_name is not None:
            by_name(name=function.__name__, module=function)
        elif by_function is not None:
            by_function(function)
    return [function.__name__ for function in functions]


def _is_ours(registry: Any, name: str) -> bool:
    """Return whether the registry itself, not a parent, already holds our function under this name."""
    held = getattr(registry, "module_dict", None)
    if not isinstance(held, Mapping):
        held = {name: registry.get(name)} if hasattr(registry, "__contains__") and name in registry else {}
    return getattr(held.get(name), "__module__", None) == factory.__module__

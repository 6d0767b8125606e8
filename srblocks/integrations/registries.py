"""The networks in the registries of training frameworks."""

from collections.abc import Mapping
from typing import Any

from ..networks import network_specs
from .factories import factory


def register(registry: Any, *, prefix: str = "srblocks_") -> list[str]:
    """Add a function for every network to a registry, as ``<prefix><network>``.

    Options then name the network and give its arguments, which are those of `srblocks.create_network` and
    ``pretrained``: ``network_g: {type: srblocks_rcan, scale: 4}`` in BasicSR's YAML,
    ``dict(type="srblocks_rcan", scale=4)`` in a configuration of mmengine.

    Args:
        registry: an object with ``register_module(name=..., module=...)`` (mmengine, mmcv), or with
            ``register(function)`` that takes the name from the function (BasicSR, traiNNer-redux, fvcore).
        prefix: keeps the names apart from the framework's own.

    Returns:
        The names. Those that were registered here before stay as they are.

    Raises:
        TypeError: `registry` has neither method; its own error where something else has one of the names.

    Example:
        >>> from mmengine.registry import Registry
        >>> models = Registry("example", scope="example")
        >>> register(models)[:2]
        ['srblocks_carn', 'srblocks_carn_m']
        >>> models.build({"type": "srblocks_espcn", "scale": 3}).scale
        3
    """
    by_name, by_function = getattr(registry, "register_module", None), getattr(registry, "register", None)
    if by_name is None and by_function is None:
        raise TypeError(f"register: {registry!r} has neither register_module() nor register(); give a registry")
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
    """Tell whether a registry itself, not a parent of it, has one of our functions under a name, as far as it tells."""
    held = getattr(registry, "module_dict", None)
    if not isinstance(held, Mapping):
        held = {name: registry.get(name)} if hasattr(registry, "__contains__") and name in registry else {}
    return getattr(held.get(name), "__module__", None) == factory.__module__

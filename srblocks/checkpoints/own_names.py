"""Plain state dicts with the tensor names of srblocks and no stored configuration."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from ..network import Network
from ..networks import network_spec
from ..registry import NetworkSpec
from .build import Match, build_plan, check_fit, wrong_scale
from .errors import MissingArgumentError
from .layout import without_prefixes


def with_own_names(tensors: Mapping[str, Tensor], net: nn.Module) -> Mapping[str, Tensor] | None:
    """Return the tensors without trainers' prefixes if at least half of their names are those of `net`, else None."""
    own = net.state_dict().keys()
    for stripped in without_prefixes(tensors):
        if 2 * len(own & stripped.keys()) >= min(len(own), len(stripped)):
            return stripped
    return None


def match_own_names(
    tensors: Mapping[str, Tensor], source: object, *, network: str, scale: int | None, arguments: Mapping[str, Any]
) -> Match | None:
    """Match tensors with a named network, deriving the scale from the shapes; None if their names are different.

    Raises:
        CheckpointError: shapes fit at no scale.
        MissingArgumentError: shapes fit at several scales and `scale` is None.
        WrongScaleError: shapes fit at other scales than `scale`.
    """
    tensors_found = with_own_names(tensors, build_plan(network, arguments, source))
    if tensors_found is None:
        return None
    scales = _scales_to_try(network_spec(network), scale)
    shapes = _shapes(tensors_found)
    served: dict[int | None, tuple[int, ...]] = {}
    for each in scales:
        net = build_plan(network, {**arguments, "scale": each}, source)
        if shapes == _shapes(net.state_dict()):
            served[each] = net.scales
    if not served:
        net = build_plan(network, {**arguments, "scale": scale or scales[0]}, source)
        check_fit(net, tensors_found, source, remedy="if it was built with other arguments, pass them")
    # A pyramid's x3 has the same tensors as its x4.
    fits = sorted(served, key=lambda each: (each != scale, each == 3, each or 0))
    if scale is not None:
        fits = [each for each in fits if scale in served[each]]
        if not fits:
            raise wrong_scale(
                source, network, tuple(sorted({each for all_ in served.values() for each in all_})), scale
            )
    elif not set(fits) <= {fits[0], *served[fits[0]]}:
        choices = ", ".join(map(str, sorted(served, key=lambda each: each or 0)))
        raise MissingArgumentError(
            f"{source}: tensor shapes do not reveal scale ({choices})",
            "pass it as an argument",
            arguments={"scale": choices},
        )
    return Match(network, {**arguments, "scale": fits[0]}, tensors_found)


def has_own_names(spec: NetworkSpec, tensors: Mapping[str, Tensor]) -> bool:
    """Return whether tensors have the names and shapes of a registered network with its default arguments."""
    patterns = _patterns_of(spec.name, spec.build)
    for stripped in without_prefixes(tensors):
        found = _patterns(stripped)
        if 2 * len(patterns & found) > len(patterns | found):
            shapes, scales = _shapes(stripped), _scales_to_try(spec, None)
            return any(_shapes_of(spec.name, spec.build, scale) == shapes for scale in scales)
    return False


@cache
def _shapes_of(name: str, build: Callable[..., Network], scale: int | None) -> dict[str, torch.Size]:
    """Return the shapes of a registered network; `build` is part of the cache key because names can be reused."""
    return _shapes(build_plan(name, {"scale": scale}, name).state_dict())


@cache
def _patterns_of(name: str, build: Callable[..., Network]) -> frozenset[str]:
    """Return the name patterns of a registered network, taken from its reduced depth."""
    try:
        return _patterns(build_plan(name, network_spec(name).reduced, name).state_dict())
    except Exception:  # a broken spec of another package must not affect the others
        return frozenset()


def _patterns(names: Iterable[str]) -> frozenset[str]:
    return frozenset(re.sub(r"\d+", "#", name) for name in names)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _scales_to_try(spec: NetworkSpec, scale: int | None) -> list[int | None]:
    """Return the scales at which the tensors of a network differ; None stands for the branches of all scales."""
    if spec.framework == "pre":
        return [scale or 1]
    return [*spec.scales, None] if "scales" in spec.arguments() else [*spec.scales]

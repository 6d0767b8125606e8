"""Which network a weights file is of, and with which arguments it was built."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from ..network import Network
from ..networks import network_name, network_spec
from ..registry import NetworkSpec
from .containers import Contents
from .errors import CheckpointError, UnknownLayoutError, UnseenArgumentError, WrongScaleError, shown
from .fill import check_config, check_fit
from .limits import bounded_construction, check_arguments
from .matching import Match, match_layout, without_prefixes

_LONGEST_REASON = 700


@dataclass(frozen=True)
class Identity:
    """The network of a file.

    Attributes:
        network: registry name.
        arguments: of the constructor.
        tensors: by our names.
        recognition: whose layout it is, where it is not ours.
    """

    network: str
    arguments: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    recognition: Match | None = None

    @property
    def remark(self) -> str:
        """What to add to a message about tensors that do not fit."""
        return f"; its names are those of {self.recognition.layout.title}" if self.recognition else ""

    def completed(self, net: nn.Module) -> Mapping[str, Tensor]:
        """Give the tensors together with those of `net` that the layout leaves out."""
        return self.recognition.completed(net) if self.recognition else self.tensors


def identify(
    contents: Contents, network: str | None, scale: int | None, arguments: Mapping[str, Any], path: object
) -> Identity:
    """Tell the network of a file.

    Args:
        contents: of the file.
        network: registry name that it must be of; None for any.
        scale: enlargement that the user wants; None for the file's own.
        arguments: further ones that the user gives.
        path: the file, for messages.

    Raises:
        CheckpointError: the file is of no network, of another one, or contradicts the arguments.
        TypeError: the network has no such argument.
    """
    if contents.metadata:
        return _recorded(contents, scale, arguments, path)
    like = network_spec(network).constructor[0] if network is not None else None
    try:
        found = match_layout(contents.tensors, path, facts=contents.facts, like=like)
    except UnknownLayoutError:
        if network is None:
            raise
        tensors = with_our_names(contents.tensors, outline(network, arguments, path))
        if tensors is None:
            raise
        return _plain(tensors, network, scale, arguments, path)
    name = found.layout.network
    if scale is not None and (network_spec(name).framework == "pre" or "scale" in found.layout.required):
        arguments = {**arguments, "scale": scale}
    return Identity(name, found.configuration(arguments, path), found.tensors, found)


def with_our_names(tensors: Mapping[str, Tensor], net: nn.Module) -> Mapping[str, Tensor] | None:
    """Give a state dict by the names of `net`, some of them missing or strange at the most; None where they are not."""
    own = net.state_dict().keys()
    for level in without_prefixes(tensors):
        if 2 * len(own & level.keys()) >= min(len(own), len(level)):
            return level
    return None


def has_our_names(spec: NetworkSpec, tensors: Mapping[str, Tensor]) -> bool:
    """Tell whether a state dict has the names and shapes of a row's network, its arguments at their defaults."""
    kinds = _kinds_of(spec.name, spec.build)
    levels = [
        level for level in without_prefixes(tensors) if 2 * len(kinds & _kinds(level)) > len(kinds | _kinds(level))
    ]
    return bool(levels) and any(
        _shapes_of(spec.name, spec.build, scale) == _shapes(levels[0]) for scale in _scales_to_try(spec, None)
    )


@cache
def _shapes_of(name: str, build: Callable[..., Network], scale: int | None) -> dict[str, torch.Size]:
    """Give the shapes of a row's network; `build` tells rows apart that had the name at different times."""
    return _shapes(outline(name, {"scale": scale}, name).state_dict())


@cache
def _kinds_of(name: str, build: Callable[..., Network]) -> frozenset[str]:
    """Give the kinds of names of a row's network; those of a shorter one, up to what differs between scales."""
    try:
        return _kinds(outline(name, network_spec(name).reduced, name).state_dict())
    except Exception:  # another package's row that cannot be built must not be in the way of the others
        return frozenset()


def _kinds(names: Iterable[str]) -> frozenset[str]:
    return frozenset(re.sub(r"\d+", "#", name) for name in names)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _scales_to_try(spec: NetworkSpec, scale: int | None) -> list[int | None]:
    """Give the scales at which networks of a row differ in their tensors; None for the branches of all."""
    if spec.framework == "pre":
        return [scale or 1]
    return [*spec.scales, None] if "scales" in spec.arguments() else [*spec.scales]


def build_on_meta(network: str, arguments: Mapping[str, Any]) -> Network:
    """Build a network without memory for its tensors, unless it would be larger than any.

    Raises:
        ValueError, RuntimeError: its arguments have no legal value, or make it too large.
        TypeError: the network has no such argument, or one is of the wrong kind.
    """
    check_arguments(arguments)
    try:
        with torch.device("meta"), bounded_construction():
            return network_spec(network).create(**arguments)
    except (ArithmeticError, LookupError, AttributeError) as error:  # of arguments of the wrong kind, deep inside
        raise ValueError(f"{type(error).__name__}: {error}") from error


def outline(network: str, arguments: Mapping[str, Any], path: object) -> Network:
    """Do as `build_on_meta` for the network of a weights file.

    Raises:
        CheckpointError: its arguments have no legal value.
        TypeError: the network has no such argument, or one is of the wrong kind.
    """
    try:
        return build_on_meta(network, arguments)
    except (ValueError, RuntimeError) as error:
        reason = shown(str(error), _LONGEST_REASON)
        raise CheckpointError(f"{path}: {network} cannot be built for these weights ({reason})") from error


def check_name(net: Network, network: str, path: object) -> None:
    """Refuse a network of another class than the named row's, and one that is another row's variant.

    Raises:
        CheckpointError: it is such a one.
    """
    name = network_name(net)
    others = network_spec(name).constructor[1]
    another_variant = name != network and others and all(net.config[key] == value for key, value in others.items())
    if type(net) is not network_spec(network).constructor[0] or another_variant:
        raise CheckpointError(f"{path}: weights of {name}, not of {network}")


def _recorded(contents: Contents, scale: int | None, arguments: Mapping[str, Any], path: object) -> Identity:
    """Read what `save_checkpoint` recorded."""
    try:
        name, config = str(contents.metadata["network"]), dict(contents.metadata["config"])
        spec = network_spec(name)
        build_on_meta(name, config)
    except Exception as error:  # whatever a foreign configuration leads to
        reason = shown(str(error), _LONGEST_REASON)
        raise CheckpointError(f"{path}: its srblocks configuration builds no network here ({reason})") from error
    if strange := sorted(arguments.keys() - spec.arguments().keys()):
        raise TypeError(f"{name} has no argument {strange[0]}; it has {', '.join(spec.arguments())}")
    check_config(arguments, config, path, remedy="leave the arguments out")
    if spec.framework == "pre" and scale is not None:
        config["scale"] = scale
    return Identity(name, config, contents.tensors)


def _plain(
    tensors: Mapping[str, Tensor], network: str, scale: int | None, arguments: Mapping[str, Any], path: object
) -> Identity:
    """Find the scale of a state dict with our names and no configuration."""
    spec = network_spec(network)
    scales = _scales_to_try(spec, scale)
    shapes = _shapes(tensors)
    served: dict[int | None, tuple[int, ...]] = {}
    for each in scales:
        net = outline(network, {**arguments, "scale": each}, path)
        if shapes == _shapes(net.state_dict()):
            served[each] = net.scales
    if not served:
        net = outline(network, {**arguments, "scale": scale or scales[0]}, path)
        check_fit(net, tensors, path, remark="; where it was built with other arguments, give them")
    # The x3 of a pyramid is its x4, resized.
    fits = sorted(served, key=lambda each: (each != scale, each == 3, each or 0))
    if scale is not None:
        fits = [each for each in fits if scale in served[each]]
        if not fits:
            choices = " or ".join(f"x{each}" for each in sorted({each for row in served.values() for each in row}))
            raise WrongScaleError(f"{path}: weights of {network} for {choices}, not for x{scale}")
    elif not set(fits) <= {fits[0], *served[fits[0]]}:
        choices = ", ".join(map(str, sorted(served, key=lambda each: each or 0)))
        raise UnseenArgumentError(f"{path}: its tensors do not show the scale ({choices}); give it as an argument")
    return Identity(network, {**arguments, "scale": fits[0]}, tensors)

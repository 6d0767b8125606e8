"""Build networks from stored arguments and load tensors into them, strictly and all-or-nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..init import skip_random_init
from ..network import Network
from ..networks import network_name, network_spec
from .errors import CheckpointError, WrongScaleError, printable
from .layout import Layout
from .limits import limited_construction
from .renamed import current_arguments

MAX_REASON_LENGTH = 700


@dataclass(frozen=True)
class Match:
    """The network of a weights file.

    Attributes:
        network: registry name.
        arguments: constructor arguments.
        tensors: by the names of srblocks.
        layout: layout of the file; None if it has the names of srblocks.
    """

    network: str
    arguments: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    layout: Layout | None = None

    def state_dict(self, net: nn.Module) -> Mapping[str, Tensor]:
        """Return all tensors of `net`, taking those that the layout leaves out from `net` itself."""
        return self.layout.complete(self.tensors, net) if self.layout else self.tensors


def build_on_meta(network: str, arguments: Mapping[str, Any]) -> Network:
    """Build a network on the meta device from untrusted arguments, within the limits of `limits`.

    Raises:
        ValueError, RuntimeError: an argument has an illegal value or makes the network too large.
        TypeError: the network has no such argument, or an argument has the wrong type.
    """
    try:
        with limited_construction(arguments), torch.device("meta"):
            return network_spec(network).create(**arguments)
    except (ArithmeticError, LookupError, AttributeError) as error:  # arguments of the wrong type fail anywhere
        raise ValueError(f"{type(error).__name__}: {error}") from error


def build_recorded(network: str, config: Mapping[str, Any]) -> Network:
    """Build a network on the meta device from a configuration stored by this or an older version of srblocks.

    Raises:
        ValueError, RuntimeError, TypeError: see `build_on_meta`.
    """
    return build_on_meta(network, current_arguments(config, network_spec(network).arguments()))


def build_plan(network: str, arguments: Mapping[str, Any], source: object) -> Network:
    """Build a network on the meta device to compare its tensors with those of a file.

    Raises:
        CheckpointError: an argument has an illegal value.
        TypeError: the network has no such argument, or an argument has the wrong type.
    """
    try:
        return build_on_meta(network, arguments)
    except (ValueError, RuntimeError) as error:
        reason = printable(str(error), MAX_REASON_LENGTH)
        raise CheckpointError(f"{source}: cannot build {network} for these weights ({reason})") from error


def build_with_weights(match: Match, source: object, *, network: str | None, scale: int | None) -> Network:
    """Build the network of a match and load its tensors; the result is in eval mode.

    Args:
        match: network, arguments and tensors.
        source: name of the file in messages.
        network: registry name that the result must have; None for any.
        scale: scale to reduce the network to; None keeps all scales of the weights.

    Raises:
        CheckpointError: the tensors do not fit or are not finite, or the network is another one.
        WrongScaleError: the weights do not support `scale`.
    """
    plan = build_plan(match.network, match.arguments, source)
    if network is not None:
        _check_name(plan, network, source)
    remedy = f"the tensor names are those of {match.layout.title}" if match.layout else ""
    check_fit(plan, match.state_dict(plan), source, remedy=remedy)
    with torch.random.fork_rng(devices=[]), skip_random_init():
        net = network_spec(match.network).create(**match.arguments)
    floats = {tensor.dtype for tensor in match.tensors.values() if tensor.is_floating_point()}
    net.to(torch.float64 if floats == {torch.float64} else torch.float32)
    fill(net, match.state_dict(net), source)
    if scale is not None and (scale != net.scale or len(net.scales) > 1):
        if scale not in net.scales:
            raise wrong_scale(source, match.network, net.scales, scale)
        net = net.at_scale(scale)
    return net.eval()


def wrong_scale(source: object, network: str, available: tuple[int, ...], scale: int) -> WrongScaleError:
    """Return the error for weights that do not support a scale."""
    choices = " or ".join(map(str, available))
    return WrongScaleError(
        f"{source}: weights of {network} for scale {choices}, not {scale}",
        f"use scale {choices}",
        arguments={"scale": choices},
    )


def check_config(wanted: Mapping[str, Any], found: Mapping[str, Any], source: object, *, remedy: str) -> None:
    """Compare the arguments that two configurations share.

    Raises:
        CheckpointError: they differ.
    """
    different = [
        f"{printable(f'{name}={found[name]!r}')} instead of {value!r}"
        for name, value in wanted.items()
        if name in found and found[name] != (list(value) if isinstance(value, tuple) else value)
    ]
    if different:
        raise CheckpointError(f"{source}: weights of a network with {', '.join(different)}", remedy)


def check_fit(net: Network, tensors: Mapping[str, Tensor], source: object, *, remedy: str = "") -> None:
    """Compare tensor names and shapes with those of a network.

    Raises:
        CheckpointError: they differ; the message counts missing, unexpected and mismatched tensors.
    """
    expected = net.state_dict()
    missing = sorted(expected.keys() - tensors.keys())
    unexpected = sorted(map(printable, tensors.keys() - expected.keys()))
    mismatched = [
        f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    problems = [
        f"{len(names)} {kind}, first {names[0]}"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", mismatched))
        if names
    ]
    if problems:
        raise CheckpointError(f"{source}: tensors do not fit this {type(net).__name__} ({'; '.join(problems)})", remedy)


def fill(net: Network, tensors: Mapping[str, Tensor], source: object) -> None:
    """Load tensors whose names and shapes fit.

    Raises:
        CheckpointError: a tensor holds integers, NaN or infinity.
    """
    expected = net.state_dict()
    integers = [
        name
        for name, tensor in expected.items()
        if tensor.is_floating_point() and not tensors[name].is_floating_point()
    ]
    if integers:
        dtype = tensors[integers[0]].dtype
        raise CheckpointError(
            f"{source}: {len(integers)} tensors hold integers, first {integers[0]} ({dtype})", "save them as float32"
        )
    cast = {name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()}
    check_finite([name for name in cast if not bool((tensors[name].isfinite() & cast[name].isfinite()).all())], source)
    net.load_state_dict(cast)


def check_finite(broken: Sequence[str], source: object) -> None:
    """Raise an error if there are tensors with NaN or infinity.

    Args:
        broken: names of these tensors.
        source: name of the file in messages.

    Raises:
        CheckpointError: there are some.
    """
    if broken:
        raise CheckpointError(f"{source}: {len(broken)} tensors contain NaN or infinity, first {broken[0]}")


def _check_name(net: Network, network: str, source: object) -> None:
    """Check that `net` has the class of the named spec and is not another registered variant.

    Raises:
        CheckpointError: it is another network.
    """
    name = network_name(net)
    bound = network_spec(name).constructor[1]
    other_variant = name != network and bound and all(net.config[key] == value for key, value in bound.items())
    if type(net) is not network_spec(network).constructor[0] or other_variant:
        raise CheckpointError(f"{source}: weights of {name}, not of {network}")

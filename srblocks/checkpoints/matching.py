"""Match weights with a network: by the stored configuration, a known layout, or the tensor names of srblocks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ..networks import network_spec, network_specs
from .build import MAX_REASON_LENGTH, Match, build_on_meta, check_config
from .containers import Contents
from .errors import CheckpointError, UnknownLayoutError, printable
from .layout import Layout, LayoutMatch, without_prefixes
from .layouts import LAYOUTS
from .own_names import has_own_names, match_own_names
from .renamed import current_arguments

Builder = Callable[..., object]

_MIN_SIMILARITY = 0.2


def match_contents(
    contents: Contents, source: object, *, network: str | None, scale: int | None, arguments: Mapping[str, Any]
) -> Match:
    """Find the network of a weights file and its constructor arguments.

    Args:
        contents: contents of the file.
        source: name of the file in messages.
        network: registry name that the file must have; None for any.
        scale: scale requested by the caller; None for that of the file.
        arguments: constructor arguments passed by the caller.

    Raises:
        CheckpointError: no network matches, another one does, or the file contradicts the arguments.
        TypeError: the network has no such argument.
    """
    if contents.metadata:
        return _match_recorded(contents, source, scale, arguments)
    builder = network_spec(network).constructor[0] if network is not None else None
    try:
        found = match_layout(contents.tensors, source, facts=contents.facts, builder=builder)
    except UnknownLayoutError:
        own = _match_own_names(contents, source, network, scale, arguments)
        if own is None:
            raise
        return own
    layout = found.layout
    is_revealed = not found.arguments.keys().isdisjoint({"scale", "scales"})
    if scale is not None and (network_spec(layout.network).framework == "pre" or not is_revealed):
        arguments = {**arguments, "scale": scale}
    return Match(layout.network, found.all_arguments(arguments, source), found.tensors, layout)


def _match_own_names(
    contents: Contents, source: object, network: str | None, scale: int | None, arguments: Mapping[str, Any]
) -> Match | None:
    """Match a plain state dict with the named network, or with the one that it fits with default arguments.

    Raises:
        CheckpointError: it fits several networks, or shapes fit at no scale; see `match_own_names`.
    """
    if network is None:
        fitting = [spec.name for spec in network_specs() if has_own_names(spec, contents.tensors)]
        if len(fitting) > 1:
            names = " or ".join(fitting)
            cause = f"{source}: the tensors fit {names}"
            raise CheckpointError(cause, "pass the network", arguments={"network": names})
        if not fitting:
            return None
        network = fitting[0]
    return match_own_names(contents.tensors, source, network=network, scale=scale, arguments=arguments)


def _match_recorded(contents: Contents, source: object, scale: int | None, arguments: Mapping[str, Any]) -> Match:
    """Read the configuration written by `save_checkpoint`."""
    try:
        name = str(contents.metadata["network"])
        spec = network_spec(name)
        config = current_arguments(contents.metadata["config"], spec.arguments())
        build_on_meta(name, config)
    except Exception as error:  # an untrusted configuration can raise anything
        reason = printable(str(error), MAX_REASON_LENGTH)
        raise CheckpointError(f"{source}: cannot build a network from its srblocks configuration ({reason})") from error
    if unknown := sorted(arguments.keys() - spec.arguments().keys()):
        raise TypeError(f"{name} has no argument {unknown[0]}; its arguments are {', '.join(spec.arguments())}")
    check_config(arguments, config, source, remedy="remove these arguments")
    if spec.framework == "pre" and scale is not None:
        config["scale"] = scale
    return Match(name, config, contents.tensors)


def match_layout(
    tensors: Mapping[str, Tensor],
    source: object,
    *,
    facts: Mapping[str, Any] | None = None,
    builder: Builder | None = None,
) -> LayoutMatch:
    """Find the known layout of a third-party state dict.

    Args:
        tensors: by the names of the file.
        source: name of the file in messages.
        facts: constructor arguments that the file stores outside its tensors.
        builder: network class that the layout must have; None for any.

    Raises:
        UnknownLayoutError: no layout matches; the message names the closest one and the difference.
        CheckpointError: several layouts match, or that of another network.
    """
    candidates = list(without_prefixes(tensors))
    found = next((matches for each in candidates if (matches := _matches(each, facts or {}))), [])
    if not found:
        raise _unknown_layout(candidates, source, builder)
    accepted = [each for each in found if _builds(each.layout, builder)]
    if builder and not accepted:
        raise CheckpointError(f"{source}: weights of {_titles(found)}, not of {builder.__name__}")
    if len(accepted) > 1:
        networks = " or ".join(sorted({each.layout.network for each in accepted}))
        raise CheckpointError(
            f"{source}: ambiguous tensor names, matching {_titles(accepted)}",
            "pass the network",
            arguments={"network": networks},
        )
    return accepted[0]


def has_layout_of(tensors: Mapping[str, Tensor], builder: Builder) -> bool:
    """Return whether the tensor names match a layout of a network class; shapes may still differ."""
    return any(_matches(each, {}, builder) for each in without_prefixes(tensors))


def _matches(
    tensors: Mapping[str, Tensor], facts: Mapping[str, Any], builder: Builder | None = None
) -> list[LayoutMatch]:
    found = [layout.match(tensors, facts) for layout in LAYOUTS if _builds(layout, builder)]
    return [each for each in found if each is not None]


def _builds(layout: Layout, builder: Builder | None) -> bool:
    return builder is None or network_spec(layout.network).constructor[0] is builder


def _titles(matches: Sequence[LayoutMatch]) -> str:
    return " or ".join(each.layout.title for each in matches)


def _unknown_layout(
    candidates: Sequence[Mapping[str, Tensor]], source: object, builder: Builder | None
) -> UnknownLayoutError:
    """Return the error for a state dict without a matching layout, naming the closest one."""
    names = list(candidates[0])
    listed = ", ".join(map(printable, names[:3])) + (", ..." if len(names) > 3 else "")
    cause = f"{source}: tensor names match no known layout ({len(names)} tensors: {listed})"
    tried = [(layout, each) for layout in LAYOUTS if _builds(layout, builder) for each in candidates]
    layout, tensors = max(tried, key=lambda pair: pair[0].similarity(list(pair[1])), default=(None, {}))
    if layout is not None and layout.similarity(list(tensors)) >= _MIN_SIMILARITY:
        cause += f"; the closest is {layout.title}, but {layout.difference(tensors)}"
    if builder:
        return UnknownLayoutError(cause)
    return UnknownLayoutError(
        cause,
        "if srblocks wrote the file without its configuration, pass the network",
        arguments={"network": "a name of list_networks()"},
    )

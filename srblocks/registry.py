"""The table of networks: every row gets its tests, exports, benchmarks and documentation from this table."""

import difflib
import importlib
import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from .network import COLORS, Network

FRAMEWORKS = ("pre", "post", "progressive", "iterative", "other")


class UnknownNetworkError(ValueError):
    """No network of that name is registered."""


@dataclass(frozen=True)
class Geometry:
    """What a network asks of the size of its input at one scale, in low-resolution pixels.

    Attributes:
        radius: receptive radius, how far an output pixel looks from its own position; None = the whole image.
        min_size: the smallest H and W.
        size_multiple: H and W must be multiples of it.
    """

    radius: int | None
    min_size: int = 1
    size_multiple: int = 1


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """One row of the registry.

    Attributes:
        name: lower-case name, `<network>[_<variant>]`; the scale is an argument, never part of the name.
        build: constructor of the network, with the variant's arguments bound.
        paper: authors, venue, identifier.
        framework: "pre", "post", "progressive", "iterative" or "other" (then `framework_note` says which).
        geometry: what each declared scale asks of the input; its keys are the scales.
        image_channels: channels of the images by default, 1 = Y, 3 = RGB.
        color: "y", "rgb" or "ycbcr".
        value_range: the value of white that the authors' weights work in; the user's side is always [0, 1].
        framework_note: one word for a framework outside the four.
        reduced: arguments that shorten the network for quick tests; widths and structure stay.
        limits: export format -> why it cannot take this network; empty for most.
    """

    name: str
    build: Callable[..., Network]
    paper: str
    framework: str
    geometry: Mapping[int, Geometry]
    image_channels: int = 1
    color: str = "y"
    value_range: float = 1.0
    framework_note: str = ""
    reduced: Mapping[str, object] = field(default_factory=dict[str, object])
    limits: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """Refuse a row that says something impossible.

        Raises:
            ValueError: unknown framework or colour, no scale, or a name that hosts cannot use.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or re.search(r"_x\d+$", self.name):
            raise ValueError(
                f"name={self.name!r} is no name of a network; use lower-case letters, digits and underscores, without "
                "the scale"
            )
        if self.framework not in FRAMEWORKS:
            raise ValueError(
                f"{self.name}: framework={self.framework!r} is unknown; use one of {', '.join(FRAMEWORKS)}"
            )
        if self.color not in COLORS:
            raise ValueError(f"{self.name}: color={self.color!r} is unknown; use {', '.join(COLORS)}")
        if not self.geometry:
            raise ValueError(f"{self.name}: geometry is empty; declare at least one scale")

    @property
    def constructor(self) -> tuple[Callable[..., Network], Mapping[str, object]]:
        """What `build` calls, and the arguments that it binds."""
        return (self.build.func, self.build.keywords) if isinstance(self.build, partial) else (self.build, {})

    def arguments(self) -> dict[str, object]:
        """Give the constructor's arguments with their defaults, those of the variant bound.

        Example:
            >>> network_spec("fsrcnn_s").arguments()["width"]
            32
        """
        build, bound = self.constructor
        target = build.__init__ if isinstance(build, type) else build
        parameters = inspect.signature(target).parameters
        return {name: parameter.default for name, parameter in parameters.items() if name != "self"} | dict(bound)

    def create(self, *, scale: int | None = None, **config: object) -> Network:
        """Build the network with fresh weights; arguments and errors are those of `create_network`."""
        if scale is None:
            held = config.get("scales", self.scales)
            scale = min(held) if isinstance(held, (list, tuple)) and held else min(self.scales)
        elif "scales" in self.arguments():
            config.setdefault("scales", [scale])
        return self.build(scale=scale, **config)

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales that the paper or the authors' code defines."""
        return tuple(self.geometry)


_specs: dict[str, NetworkSpec] = {}


def register(*specs: NetworkSpec) -> None:
    """Add rows to the registry.

    Raises:
        ValueError: a name is taken; nothing is added then.
    """
    names = [spec.name for spec in specs]
    for name in names:
        if name in _specs or names.count(name) > 1:
            raise ValueError(f"a network named {name!r} is registered already; choose another name")
    _specs.update({spec.name: spec for spec in specs})


def network_specs() -> tuple[NetworkSpec, ...]:
    """Give every registered row, in alphabetical order of the names, those of other packages among them.

    Other packages give theirs by the entry-point group ``srblocks.networks``, see `srblocks.plugins`.
    """
    importlib.import_module("srblocks.networks")
    importlib.import_module("srblocks.plugins")
    return tuple(_specs[name] for name in sorted(_specs))


def list_networks() -> list[str]:
    """Give the names of all registered networks, in alphabetical order.

    Example:
        >>> list_networks()[:2]
        ['carn', 'carn_m']
    """
    return [spec.name for spec in network_specs()]


def network_spec(name: str) -> NetworkSpec:
    """Give the row of one network.

    Raises:
        UnknownNetworkError: no such network; the message names the closest ones.
    """
    names = list_networks()
    if name not in names:
        close = difflib.get_close_matches(str(name).lower().replace("-", "_"), names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(names)}"
        raise UnknownNetworkError(f"unknown network {name!r}; {hint}")
    return _specs[name]


def create_network(
    name: str, *, scale: int | None = None, weights: str | os.PathLike[str] | None = None, **config: object
) -> Network:
    """Build a registered network, in training mode.

    Args:
        name: a name of `list_networks`.
        scale: enlargement per side. A network with branches for several scales then has that of this scale alone, as
            `Network.at_scale` gives it. None for the smallest declared scale, with the branches of all; with `weights`
            for theirs.
        weights: file with the weights, and with them the arguments that `config` does not give, see
            `srblocks.load_checkpoint`; None for fresh ones.
        config: further constructor arguments of the network, such as those of ``net.config``.

    Returns:
        The network.

    Raises:
        UnknownNetworkError: no such network; the message names the closest ones.
        ValueError: an argument has no legal value; `srblocks.CheckpointError` when the weights are the cause.
        TypeError: the network has no such argument.

    Example:
        >>> create_network("edsr_baseline", scale=4).config["depth"]
        16
    """
    if weights is None:
        return network_spec(name).create(scale=scale, **config)
    from .checkpoints import load_checkpoint  # noqa: PLC0415 (it builds networks of this table)

    return load_checkpoint(weights, network=name, scale=scale, **config).train()


def network_name(net: Network) -> str:
    """Give the name of the registered variant that `net` is, or is closest to in its arguments.

    Raises:
        ValueError: the class of `net` is in no row.

    Example:
        >>> network_name(create_network("srcnn_915", scale=3))
        'srcnn_915'
    """
    likeness: dict[str, int] = {}
    for spec in network_specs():
        build, bound = spec.constructor
        if build is type(net):
            likeness[spec.name] = sum(1 if net.config.get(key) == value else -1 for key, value in bound.items())
    if not likeness:
        raise ValueError(f"{type(net).__name__} is in no registry row; register() a NetworkSpec for it first")
    return max(likeness, key=lambda name: likeness[name])

"""The table of networks: every row gets its tests, exports, benchmarks and documentation from this table."""

import difflib
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .network import COLORS, Network

FRAMEWORKS = ("pre", "post", "progressive", "iterative", "other")


class UnknownNetworkError(ValueError):
    """No network of that name is registered."""


@dataclass(frozen=True)
class SizeRequirements:
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
        size_requirements: what each declared scale asks of the input; its keys are the scales.
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
    size_requirements: Mapping[int, SizeRequirements]
    image_channels: int = 1
    color: str = "y"
    value_range: float = 1.0
    framework_note: str = ""
    reduced: Mapping[str, object] = field(default_factory=dict[str, object])
    limits: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """Refuse a row that says something impossible.

        Raises:
            ValueError: unknown framework or color, no scale, or a name that hosts cannot use.
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
        if not self.size_requirements:
            raise ValueError(f"{self.name}: size_requirements is empty; declare at least one scale")

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
        return tuple(self.size_requirements)


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
    _load_entry_points()
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


@cache
def _load_entry_points() -> None:
    """Register the networks that other packages offer, once."""
    for entry in sorted(entry_points(group="srblocks.networks"), key=lambda entry: (_package(entry), entry.name)):
        _register(entry)


def _rows(entry: EntryPoint) -> list[NetworkSpec]:
    """Import what an entry point refers to.

    Raises:
        TypeError: that is something else than rows; imports of other packages raise whatever they do.
    """
    value: Any = entry.load()
    rows: list[Any] = list(value) if isinstance(value, Iterable) else [value]
    for row in rows:
        if not isinstance(row, NetworkSpec):
            raise TypeError(f"it holds a {type(row).__name__}, not a NetworkSpec or an iterable of them")
    return rows


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _register(entry: EntryPoint) -> None:
    origin = f"{_package(entry)} (entry point {entry.name} = {entry.value})"
    try:
        rows = _rows(entry)
    except (Exception, SystemExit) as error:  # whatever the other package does, short of the user's Ctrl-C
        reason = f"{type(error).__name__}: {error}"
        warnings.warn(f"no networks from {origin}: {reason}; update or remove it", RuntimeWarning, stacklevel=2)
        return
    for row in rows:
        taken = _specs.get(row.name)
        if taken is None:
            register(row)
        elif taken is not row:
            owner = taken.constructor[0].__module__.partition(".")[0]
            warnings.warn(
                f"the network {row.name!r} of {origin} is left out: {owner} has one of that name",
                RuntimeWarning,
                stacklevel=2,
            )

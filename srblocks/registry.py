"""Registry of networks: their specs drive tests, exports, benchmarks and documentation."""

import difflib
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import torch

from .errors import SRBlocksError
from .network import Network, default_color


class UnknownNetworkError(SRBlocksError, ValueError):
    """No network of that name is registered."""

    exit_code = 2


@dataclass(frozen=True)
class SizeRequirements:
    """Input-size requirements of a network at one scale, in low-resolution pixels.

    Attributes:
        radius: receptive radius, the largest distance from which an input pixel influences an output pixel; None if
            every pixel of the image does.
        min_size: minimum H and W.
        size_multiple: H and W must be multiples of it.
    """

    radius: int | None
    min_size: int = 1
    size_multiple: int = 1


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A registered network.

    Everything else, such as the image channels, follows from the class and the defaults of its arguments.

    Attributes:
        name: lower-case name, ``<network>[_<variant>]``, without the scale.
        build: the network's class, or a `functools.partial` of it that binds the arguments of the variant; any other
            function that builds a network works, too.
        paper: authors, venue, identifier.
        size_requirements: input-size requirements per supported scale.
        framework_note: one word for a data flow outside the four frameworks.
        reduced: arguments that make the network shallower for fast tests; widths and structure stay.
    """

    name: str
    build: Callable[..., Network]
    paper: str
    size_requirements: Mapping[int, SizeRequirements]
    framework_note: str = ""
    reduced: Mapping[str, object] = field(default_factory=dict[str, object])

    def __post_init__(self) -> None:
        """Check the spec.

        Raises:
            ValueError: no scale, or a name that other libraries cannot use.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or re.search(r"_x\d+$", self.name):
            raise ValueError(
                "the name of a network must consist of lower-case letters, digits and underscores and must not end "
                f"with the scale, got {self.name!r}"
            )
        if not self.size_requirements:
            raise ValueError(f"{self.name}: size_requirements must have at least one scale")

    @property
    def scales(self) -> tuple[int, ...]:
        """Scales that the paper or the authors' code defines."""
        return tuple(self.size_requirements)

    @property
    def default_scale(self) -> int:
        """Scale of the network unless another one is requested: the smallest one that enlarges."""
        return min((scale for scale in self.scales if scale > 1), default=min(self.scales))

    @property
    def framework(self) -> str:
        """Data flow of the network: "pre", "post", "progressive", "iterative" or "other"."""
        build = self.constructor[0]
        return build.framework if isinstance(build, type) else self._example.framework

    @property
    def image_channels(self) -> int:
        """Default number of image channels, 1 = Y, 3 = RGB."""
        channels = self.arguments().get("image_channels")
        return channels if isinstance(channels, int) else self._example.image_channels

    @property
    def color(self) -> str:
        """Default color space of the images: "y", "rgb", "ycbcr" or "other"."""
        arguments = self.arguments()
        if "image_channels" not in arguments:
            return self._example.color
        return str(arguments.get("color") or default_color(self.image_channels))

    @property
    def value_range(self) -> float:
        """Default value of white inside the network; images are always in [0, 1]."""
        value = self.arguments().get("value_range", 1.0)
        return value if isinstance(value, float) else 1.0

    @property
    def constructor(self) -> tuple[Callable[..., Network], Mapping[str, object]]:
        """The callable of `build`, and the arguments that `build` binds to it."""
        return (self.build.func, self.build.keywords) if isinstance(self.build, partial) else (self.build, {})

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments with the defaults of this variant.

        Examples:
            >>> from srblocks.networks import network_spec
            >>> network_spec("fsrcnn_s").arguments()["width"]
            32
        """
        build, bound = self.constructor
        target = build.__init__ if isinstance(build, type) else build
        parameters = inspect.signature(target).parameters
        return {name: parameter.default for name, parameter in parameters.items() if name != "self"} | dict(bound)

    def create(self, *, scale: int | None = None, **config: object) -> Network:
        """Build the network with random weights; see `create_network` for arguments and errors."""
        if scale is None:
            branches = config.get("scales", self.scales)
            scale = min(branches) if isinstance(branches, (list, tuple)) and branches else self.default_scale
        elif "scales" in self.arguments():
            config.setdefault("scales", [scale])
        return self.build(scale=scale, **config)

    @cached_property
    def _example(self) -> Network:
        """The reduced network on the meta device, for properties that the arguments do not show."""
        with torch.device("meta"):
            return self.create(scale=self.default_scale, **self.reduced)


_specs: dict[str, NetworkSpec] = {}


def register(*specs: NetworkSpec) -> None:
    """Add networks to the registry.

    Raises:
        ValueError: a name is already registered; no network is added.
    """
    names = [spec.name for spec in specs]
    for name in names:
        if name in _specs or names.count(name) > 1:
            raise ValueError(f"a network named {name!r} is already registered; choose another name")
    _specs.update({spec.name: spec for spec in specs})


def network_specs() -> tuple[NetworkSpec, ...]:
    """Return the specs of all registered networks, sorted by name.

    Installed packages add networks through the entry-point group ``srblocks.networks``. An entry point refers to a
    `NetworkSpec` or an iterable of them and is loaded on the first call. Broken ones are skipped with a warning.
    """
    _load_entry_points()
    return tuple(_specs[name] for name in sorted(_specs))


def list_networks() -> list[str]:
    """Return the names of all registered networks, sorted.

    Examples:
        >>> from srblocks import list_networks
        >>> list_networks()[:2]
        ['bsrn', 'bsrn_s']
    """
    return [spec.name for spec in network_specs()]


def network_spec(name: str) -> NetworkSpec:
    """Return the spec of a network.

    Raises:
        UnknownNetworkError: there is no such network; the message lists the closest names.
    """
    names = list_networks()
    if name not in names:
        close = difflib.get_close_matches(str(name).lower().replace("-", "_"), names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"available: {', '.join(names)}"
        raise UnknownNetworkError(f"unknown network {name!r}", hint)
    return _specs[name]


def network_name(net: Network) -> str:
    """Return the registry name whose arguments match `net` best.

    Raises:
        ValueError: the class of `net` is not registered.

    Examples:
        >>> from srblocks import create_network, network_name
        >>> network_name(create_network("srcnn_915", scale=3))
        'srcnn_915'
    """
    matches: dict[str, int] = {}
    for spec in network_specs():
        build, bound = spec.constructor
        if build is type(net):
            matches[spec.name] = sum(1 if net.config.get(key) == value else -1 for key, value in bound.items())
    if not matches:
        raise ValueError(f"{type(net).__name__} is not a registered network; register a NetworkSpec for it first")
    return max(matches, key=lambda name: matches[name])


@cache
def _load_entry_points() -> None:
    """Register the networks of other packages, once."""
    for entry in sorted(entry_points(group="srblocks.networks"), key=lambda entry: (_package(entry), entry.name)):
        _register(entry)


def _load_specs(entry: EntryPoint) -> list[NetworkSpec]:
    """Load the specs that an entry point refers to.

    Raises:
        TypeError: it refers to something else; importing the package may raise any other exception.
    """
    value: Any = entry.load()
    specs: list[Any] = list(value) if isinstance(value, Iterable) else [value]
    for spec in specs:
        if not isinstance(spec, NetworkSpec):
            raise TypeError(f"expected a NetworkSpec or an iterable of them, got {type(spec).__name__}")
    return specs


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _register(entry: EntryPoint) -> None:
    origin = f"{_package(entry)} (entry point {entry.name} = {entry.value})"
    try:
        specs = _load_specs(entry)
    except (Exception, SystemExit) as error:  # anything that importing another package may raise, except Ctrl-C
        reason = f"{type(error).__name__}: {error}"
        warnings.warn(f"skipped networks of {origin}: {reason}; update or remove it", RuntimeWarning, stacklevel=2)
        return
    for spec in specs:
        registered = _specs.get(spec.name)
        if registered is None:
            register(spec)
        elif registered is not spec:
            owner = registered.constructor[0].__module__.partition(".")[0]
            warnings.warn(
                f"skipped network {spec.name!r} of {origin}: {owner} already has one of that name",
                RuntimeWarning,
                stacklevel=2,
            )

"""Networks of other packages: importing this module registers those of the entry-point group ``srblocks.networks``.

`srblocks.network_specs` does that on the first look into the table. An entry point refers to a `NetworkSpec` or to an
iterable of them; what is broken or has a taken name is left out, with a warning that says whose it is.
"""

import warnings
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .registry import NetworkSpec, network_specs, register


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
        taken = {spec.name: spec for spec in network_specs()}.get(row.name)
        if taken is None:
            register(row)
        elif taken is not row:
            owner = taken.constructor[0].__module__.partition(".")[0]
            warnings.warn(
                f"the network {row.name!r} of {origin} is left out: {owner} has one of that name",
                RuntimeWarning,
                stacklevel=2,
            )


for _entry in sorted(entry_points(group="srblocks.networks"), key=lambda entry: (_package(entry), entry.name)):
    _register(_entry)

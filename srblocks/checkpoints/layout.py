"""How one source names the tensors of a network, as data: a table of names and what the shapes say.

A table maps their names to ours. ``{i}`` stands for an index, a name of a fact for its number; ours may compute with
both: ``{2*i-2}``, ``{depth+1}``, ``{scales[k]}``. Names may leave out the last part (weight, bias, ...), which stays.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isqrt, prod
from typing import Any

from torch import Tensor

from ..blocks import DIV2K_MEAN

Facts = Mapping[str, Any]

_LEAF = r"(?P<leaf>\.(?:weight|bias|running_mean|running_var|num_batches_tracked))?"
_TERM = re.compile(r"([+-]?)(?:(\d+)\*)?(\w+)(?:\[(.+?)\])?")

MEAN_SHIFT = {"sub_mean": "normalise.{_shift}", "add_mean": "denormalise.0"}
"""Names of the fixed convolutions that subtract and add the mean color, for `StateDictView.mean_shift`."""


class UnfitError(Exception):
    """The tensors are not those of a layout."""


class StateDictView:
    """The tensors of a file by their foreign names, and what their shapes say."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def __contains__(self, name: str) -> bool:
        """Tell whether there is a tensor of that name."""
        return name in self.tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """Give the shape of a tensor.

        Raises:
            UnfitError: there is none of that name.
        """
        if name not in self.tensors:
            raise UnfitError(f"there is no {name}")
        return tuple(self.tensors[name].shape)

    def kernel(self, name: str, *, side: int | None = None) -> tuple[int, int, int]:
        """Give first and second dimension and the side of a kernel, which must be `side` where that is given.

        Raises:
            UnfitError: there is none of that name, no square kernel, or of another side.
        """
        shape = self.shape(name)
        if len(shape) != 4 or shape[2] != shape[3] or (side and shape[2] != side) or 0 in shape:
            raise UnfitError(f"{name} has the shape {shape}")
        return shape[0], shape[1], shape[2]

    def count(self, pattern: str, start: int = 0) -> int:
        """Count the tensors whose index, in the place of ``{}``, runs from `start` without a gap.

        Raises:
            UnfitError: there is not one.
        """
        number = 0
        while pattern.format(start + number) in self.tensors:
            number += 1
        if not number:
            raise UnfitError(f"there is no {pattern.format(start)}")
        return number

    def indices(self, pattern: str) -> list[int]:
        """Give all indices in the place of ``{}``, gaps or not, in ascending order."""
        found = re.compile(re.escape(pattern).replace(r"\{\}", r"(\d{1,6})"))
        return sorted(int(match[1]) for name in self.tensors if (match := found.fullmatch(name)))

    def factor(self, name: str, channels: int) -> int:
        """Give the factor of the pixel shuffle to `channels` that follows a convolution.

        Raises:
            UnfitError: there is none of that name, or its channels are those of no pixel shuffle.
        """
        out = self.kernel(name)[0]
        factor = isqrt(out // channels)
        if factor < 2 or factor**2 * channels != out:
            raise UnfitError(f"{name} gives {out} channels")
        return factor

    def factors(self, pattern: str, channels: int, *, last: int | None = None) -> int:
        """Give the factor of a chain of convolutions that each are followed by a pixel shuffle to `channels`.

        Args:
            pattern: their names, with the index in the place of ``{}``.
            channels: channels behind each pixel shuffle.
            last: index that is no part of the chain any more.

        Raises:
            UnfitError: there is none, or its channels are those of no pixel shuffle.
        """
        chain = [pattern.format(index) for index in self.indices(pattern) if index != last]
        if not chain:
            raise UnfitError(f"there is no {pattern.format(0)}")
        return prod(self.factor(name, channels) for name in chain)

    def mean_shift(self, name: str = "sub_mean") -> dict[str, Any]:
        """Tell from a fixed convolution whether the mean color is subtracted, and in which value range.

        Raises:
            UnfitError: its bias is no color.
        """
        if f"{name}.weight" not in self and f"{name}.bias" not in self:
            return {"mean_shift": False}
        if self.shape(f"{name}.bias") != (len(DIV2K_MEAN),):
            raise UnfitError(f"{name}.bias has the shape {self.shape(f'{name}.bias')}")
        wide = float(self.tensors[f"{name}.bias"].abs().max()) > 2
        return {"mean_shift": True, "value_range": 255.0 if wide else 1.0, "_shift": int(wide)}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One source's layout of one network.

    Attributes:
        network: registry name of the network.
        source: whose layout it is.
        keys: their names -> ours, see the module's docstring.
        read: facts that the shapes show: constructor arguments, and helpers whose names begin with an underscore.
        defaults: arguments that no tensor shows but that this source always has; a value may be a function of the facts,
            which gives None where it is required.
        required: arguments that neither shows -> what they can be; the user must say.
        unused_keys: their names of tensors that their own class never uses.
        constant_keys: our names of tensors that their file does not hold, because they are constant.
    """

    network: str
    source: str
    keys: Mapping[str, str]
    read: Callable[[StateDictView], dict[str, Any]]
    defaults: Facts = field(default_factory=dict[str, Any])
    required: Mapping[str, str] = field(default_factory=dict[str, str])
    unused_keys: tuple[str, ...] = ()
    constant_keys: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Network and source in words."""
        return f"{self.network} in the layout of {self.source}"

    def rename(self, names: list[str], facts: Facts) -> tuple[dict[str, str], list[str]]:
        """Translate names.

        Args:
            names: their names.
            facts: what `read` gave.

        Returns:
            Theirs -> ours, without those of unused_keys tensors; and those that the table does not know, or that would take
            the place of another one.
        """
        rows = [(re.compile(_pattern(theirs, facts)), ours) for theirs, ours in self.keys.items()]
        rows += [(re.compile(_pattern(theirs, facts)), "") for theirs in self.unused_keys]
        renamed: dict[str, str] = {}
        taken: set[str] = set()
        unknown: list[str] = []
        for name in names:
            match, ours = next(
                ((match, ours) for pattern, ours in rows if (match := pattern.fullmatch(name))), (None, "")
            )
            if match is None:
                unknown.append(name)
            elif ours:
                indices = {key: int(text) for key, text in match.groupdict().items() if key != "leaf"}
                try:
                    target = _target(ours, {**facts, **indices}) + (match["leaf"] or "")
                except IndexError:
                    target = ""
                if not target or target in taken:
                    unknown.append(name)
                renamed[name] = target
                taken.add(target)
        return renamed, unknown

    def likeness(self, names: list[str]) -> float:
        """Give the part of the names, indices left aside, that table and file have in common, from 0 to 1."""
        table = {re.sub(r"\{.*?\}|\d+", "#", theirs) for theirs in [*self.keys, *self.unused_keys]}
        found: set[str] = set()
        for name in names:
            plain = re.sub(r"\d+", "#", name)
            found.add(plain if plain in table else plain.rpartition(".")[0])
        return len(table & found) / len(table | found)


def _pattern(theirs: str, facts: Facts) -> str:
    """Write a name of the table as a regular expression; ``{i}`` becomes a group unless it is a fact."""
    parts = re.split(r"(\{.*?\})", theirs)
    for position in range(1, len(parts), 2):
        name = parts[position][1:-1]
        parts[position] = (
            rf"(?P<{name}>\d{{1,6}})" if name.isidentifier() and name not in facts else str(_value(name, facts))
        )
    parts[::2] = [re.escape(part) for part in parts[::2]]
    return "".join(parts) + _LEAF


def _target(ours: str, numbers: Facts) -> str:
    return re.sub(r"\{(.*?)\}", lambda match: str(_value(match[1], numbers)), ours)


def _value(expression: str, numbers: Facts) -> int:
    """Compute a sum of numbers, names and their multiples, such as ``2*i-2`` or ``scales[k]``."""
    total = 0
    for sign, factor, term, index in _TERM.findall(expression):
        value: Any = int(term) if term.isdigit() else numbers[term]
        if index:
            value = value[_value(index, numbers)]
        total += (-1 if sign == "-" else 1) * int(factor or 1) * value
    return total

"""Checkpoint layouts as data: a table of tensor names, and the constructor arguments that tensor shapes reveal.

A table maps the names of a source to ours. ``{i}`` matches an index; the name of a fact stands for its value. Our names
may use arithmetic on both: ``{2*i-2}``, ``{depth+1}``, ``{scales[k]}``. Names may omit the last part (weight, bias,
...), which is kept.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isqrt, prod
from typing import Any

from torch import Tensor, nn

from ..blocks import DIV2K_MEAN
from .errors import CheckpointError, MissingArgumentError, printable

Facts = Mapping[str, Any]

_LEAF = r"(?P<leaf>\.(?:weight|bias|running_mean|running_var|num_batches_tracked))?"
_TERM = re.compile(r"([+-]?)(?:(\d+)\*)?(\w+)(?:\[(.+?)\])?")

MEAN_SHIFT = {"sub_mean": "normalise.{_shift}", "add_mean": "denormalise.0"}
"""Fixed convolutions that subtract and add the mean color, see `StateDictView.mean_shift`."""


class LayoutMismatch(Exception):
    """The tensors do not have this layout."""


class StateDictView:
    """Read-only view of a third-party state dict for deriving constructor arguments from shapes."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def __contains__(self, name: str) -> bool:
        """Return whether there is a tensor of that name."""
        return name in self.tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor.

        Raises:
            LayoutMismatch: there is no such tensor.
        """
        if name not in self.tensors:
            raise LayoutMismatch(f"{name} is missing")
        return tuple(self.tensors[name].shape)

    def kernel(self, name: str, *, size: int | None = None) -> tuple[int, int, int]:
        """Return the first two dimensions and the size of a square kernel.

        Args:
            name: name of the weight.
            size: required kernel size; None for any.

        Raises:
            LayoutMismatch: there is no such tensor, or it is not a square kernel of that size.
        """
        shape = self.shape(name)
        if len(shape) != 4 or shape[2] != shape[3] or (size and shape[2] != size) or 0 in shape:
            raise LayoutMismatch(f"{name} has shape {shape}")
        return shape[0], shape[1], shape[2]

    def count(self, pattern: str, start: int = 0) -> int:
        """Return the number of tensors whose index, in place of ``{}``, runs from `start` without a gap.

        Raises:
            LayoutMismatch: there are none.
        """
        number = 0
        while pattern.format(start + number) in self.tensors:
            number += 1
        if not number:
            raise LayoutMismatch(f"{pattern.format(start)} is missing")
        return number

    def indices(self, pattern: str) -> list[int]:
        """Return all indices in place of ``{}``, with or without gaps, in ascending order."""
        regex = re.compile(re.escape(pattern).replace(r"\{\}", r"(\d{1,6})"))
        return sorted(int(match[1]) for name in self.tensors if (match := regex.fullmatch(name)))

    def shuffle_factor(self, name: str, channels: int) -> int:
        """Return the factor of the pixel shuffle to `channels` that follows a convolution.

        Raises:
            LayoutMismatch: there is no such tensor, or its channels do not fit a pixel shuffle.
        """
        out = self.kernel(name)[0]
        factor = isqrt(out // channels)
        if factor < 2 or factor**2 * channels != out:
            raise LayoutMismatch(f"{name} has {out} output channels")
        return factor

    def shuffle_factors(self, pattern: str, channels: int, *, last: int | None = None) -> int:
        """Return the total factor of a chain of convolutions, each followed by a pixel shuffle to `channels`.

        Args:
            pattern: their names, with ``{}`` for the index.
            channels: channels after each pixel shuffle.
            last: index that matches the pattern but does not belong to the chain.

        Raises:
            LayoutMismatch: there is no such tensor, or its channels do not fit a pixel shuffle.
        """
        chain = [pattern.format(index) for index in self.indices(pattern) if index != last]
        if not chain:
            raise LayoutMismatch(f"{pattern.format(0)} is missing")
        return prod(self.shuffle_factor(name, channels) for name in chain)

    def mean_shift(self, name: str = "sub_mean") -> dict[str, Any]:
        """Return whether a fixed convolution subtracts the mean color, and in which value range.

        Raises:
            LayoutMismatch: its bias is not a color.
        """
        if f"{name}.weight" not in self and f"{name}.bias" not in self:
            return {"mean_shift": False}
        if self.shape(f"{name}.bias") != (len(DIV2K_MEAN),):
            raise LayoutMismatch(f"{name}.bias has shape {self.shape(f'{name}.bias')}")
        wide = float(self.tensors[f"{name}.bias"].abs().max()) > 2
        return {"mean_shift": True, "value_range": 255.0 if wide else 1.0, "_shift": int(wide)}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Layout of one network's checkpoints as written by one source.

    Attributes:
        network: registry name of the network.
        source: authors or repository that the layout comes from.
        keys: their names -> ours, see the module's docstring.
        read: derives facts from the shapes: constructor arguments, and helper values whose names start with "_".
        defaults: arguments that shapes do not reveal but that this source always uses; a value may be a function of the
            facts that returns None where the argument is required.
        required: remaining arguments, which the caller must pass -> their legal values.
        unused_keys: their names of tensors that their own forward pass never uses.
        constant_keys: prefixes of our names of constant tensors that their files do not store.
        convert: converts their tensors to the shapes of ours.
    """

    network: str
    source: str
    keys: Mapping[str, str]
    read: Callable[[StateDictView], dict[str, Any]]
    defaults: Facts = field(default_factory=dict[str, Any])
    required: Mapping[str, str] = field(default_factory=dict[str, str])
    unused_keys: tuple[str, ...] = ()
    constant_keys: tuple[str, ...] = ()
    convert: Callable[[Tensor], Tensor] = Tensor.detach

    @property
    def title(self) -> str:
        """Network and source, for messages."""
        return f"{self.network} in the layout of {self.source}"

    def match(self, tensors: Mapping[str, Tensor], facts: Facts) -> "LayoutMatch | None":
        """Rename the tensors of a file; None unless all of them are known.

        Args:
            tensors: by their names.
            facts: constructor arguments that the file stores outside its tensors.
        """
        try:
            read = self.read(StateDictView(tensors))
        except LayoutMismatch:
            return None
        renamed, unknown = self._rename(list(tensors), read)
        if unknown:
            return None
        arguments = {name: value for name, value in read.items() if not name.startswith("_")}
        found = {new: self.convert(tensors[old]) for old, new in renamed.items()}
        return LayoutMatch(self, found, {**arguments, **facts})

    def difference(self, tensors: Mapping[str, Tensor]) -> str:
        """Describe the first difference between this layout and the tensors of a file that do not match it."""
        try:
            unknown = self._rename(list(tensors), self.read(StateDictView(tensors)))[1]
        except LayoutMismatch as error:
            return str(error)
        return f"{len(unknown)} tensors are unknown there, first {printable(unknown[0])}"

    def complete(self, tensors: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
        """Add tensors of `net` that files lack: constants, and batch counters that old torch versions did not save."""
        missing = {
            name: tensor
            for name, tensor in net.state_dict().items()
            if name.startswith(self.constant_keys) or name.endswith(".num_batches_tracked")
        }
        return {**missing, **tensors}

    def similarity(self, names: list[str]) -> float:
        """Return the intersection over union of the names of table and file, ignoring indices, from 0 to 1."""
        table = {re.sub(r"\{.*?\}|\d+", "#", theirs) for theirs in [*self.keys, *self.unused_keys]}
        found: set[str] = set()
        for name in names:
            plain = re.sub(r"\d+", "#", name)
            found.add(plain if plain in table else plain.rpartition(".")[0])
        return len(table & found) / len(table | found)

    def _rename(self, names: list[str], facts: Facts) -> tuple[dict[str, str], list[str]]:
        """Return their names -> ours without unused tensors, and the names that are unknown or map to a taken name."""
        table = [(re.compile(_pattern(theirs, facts)), ours) for theirs, ours in self.keys.items()]
        table += [(re.compile(_pattern(theirs, facts)), "") for theirs in self.unused_keys]
        renamed: dict[str, str] = {}
        taken: set[str] = set()
        unknown: list[str] = []
        for name in names:
            match, ours = next(
                ((match, ours) for pattern, ours in table if (match := pattern.fullmatch(name))), (None, "")
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


@dataclass(frozen=True)
class LayoutMatch:
    """A third-party state dict in a known layout.

    Attributes:
        layout: the layout.
        tensors: by our names.
        arguments: constructor arguments that the file reveals.
    """

    layout: Layout
    tensors: Mapping[str, Tensor]
    arguments: Facts

    def known_arguments(self) -> dict[str, Any]:
        """Return the arguments that the file reveals, with the layout's defaults for others."""
        defaults = {
            name: value(self.arguments) if callable(value) else value for name, value in self.layout.defaults.items()
        }
        return {name: value for name, value in defaults.items() if value is not None} | {**self.arguments}

    def all_arguments(self, arguments: Facts, source: object) -> dict[str, Any]:
        """Return the known arguments with those of the caller.

        Args:
            arguments: arguments passed by the caller.
            source: name of the file in messages.

        Raises:
            CheckpointError: the caller contradicts the file.
            MissingArgumentError: a required argument is missing.
        """
        for name, value in arguments.items():
            if name in self.arguments and _as_list(self.arguments[name]) != _as_list(value):
                shown = repr(self.arguments[name])
                cause = f"{source}: tensor shapes show {name}={shown}, not {name}={value!r}"
                raise CheckpointError(cause, f"remove {name}", arguments={name: shown})
        config = {**self.known_arguments(), **arguments}
        if missing := {name: choices for name, choices in self.layout.required.items() if name not in config}:
            listed = " and ".join(f"{name} ({choices})" for name, choices in missing.items())
            raise MissingArgumentError(
                f"{source}: {self.layout.title}; tensor shapes do not reveal {listed}",
                f"pass {'it' if len(missing) == 1 else 'them'} as an argument",
                arguments=missing,
            )
        return config


def without_prefixes(tensors: Mapping[str, Tensor]) -> Iterator[Mapping[str, Tensor]]:
    """Yield a state dict as it is, then without the common prefix of all names, one part at a time.

    Such prefixes come from DataParallel (``module.``), GAN trainers (``netG.``, ``generator.``) and torch.compile
    (``_orig_mod.``).
    """
    yield tensors
    for _ in range(8):
        if len({name.partition(".")[0] for name in tensors}) > 1 or not all("." in name for name in tensors):
            break
        tensors = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
        yield tensors


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def _pattern(theirs: str, facts: Facts) -> str:
    """Return a name of the table as a regular expression; ``{i}`` becomes a group unless it is a fact."""
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
    """Evaluate a sum of numbers, names and their multiples, such as ``2*i-2`` or ``scales[k]``."""
    total = 0
    for sign, factor, term, index in _TERM.findall(expression):
        value: Any = int(term) if term.isdigit() else numbers[term]
        if index:
            value = value[_value(index, numbers)]
        total += (-1 if sign == "-" else 1) * int(factor or 1) * value
    return total

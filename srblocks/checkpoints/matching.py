"""Which network a foreign state dict belongs to: the one layout whose table knows every name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..networks import network_spec
from .errors import CheckpointError, UnknownLayoutError, UnseenArgumentError, shown
from .layout import Layout, StateDictView, UnfitError
from .layouts import LAYOUTS

Builder = Callable[..., object]


@dataclass(frozen=True)
class Match:
    """A foreign state dict, read.

    Attributes:
        layout: its layout.
        tensors: by our names.
        seen: constructor arguments that tensors show.
    """

    layout: Layout
    tensors: Mapping[str, Tensor]
    seen: Mapping[str, Any]

    def configuration(self, arguments: Mapping[str, Any], path: object) -> dict[str, Any]:
        """Complete what the tensors show with what their source implies and what the user says.

        Raises:
            CheckpointError: the user contradicts the tensors.
            UnseenArgumentError: the user must say more.
        """
        for name, value in arguments.items():
            if name in self.seen and _listed(self.seen[name]) != _listed(value):
                raise CheckpointError(f"{path}: its tensors show {name}={self.seen[name]!r}, not {name}={value!r}")
        config = {**self.known(), **arguments}
        unseen = [f"{name} ({choices})" for name, choices in self.layout.required.items() if name not in config]
        if unseen:
            raise UnseenArgumentError(
                f"{path}: {self.layout.title}, whose tensors do not show {' and '.join(unseen)}; give it as an argument"
            )
        return config

    def known(self) -> dict[str, Any]:
        """Give what the tensors show and what their source implies."""
        implied = {name: value(self.seen) if callable(value) else value for name, value in self.layout.defaults.items()}
        return {name: value for name, value in implied.items() if value is not None} | {**self.seen}

    def completed(self, net: nn.Module) -> dict[str, Tensor]:
        """Add what foreign files leave out: constants, and the counters that older versions of torch did not save."""
        left_out = {
            name: tensor
            for name, tensor in net.state_dict().items()
            if name.startswith(self.layout.constant_keys) or name.endswith(".num_batches_tracked")
        }
        return {**left_out, **self.tensors}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def match_layout(
    tensors: Mapping[str, Tensor], path: object, *, facts: Mapping[str, Any] | None = None, like: Builder | None = None
) -> Match:
    """Find the layout of a state dict.

    Args:
        tensors: by their foreign names.
        path: the file, for messages.
        facts: constructor arguments that the file shows by other means.
        like: class of the network that it must be; None for any.

    Raises:
        UnknownLayoutError: no layout fits; the message names the closest one and what is wrong with it.
        CheckpointError: several do, or one of another network.
    """
    levels = list(without_prefixes(tensors))
    found = next((fits for level in levels if (fits := _fitting(level, facts or {}))), [])
    if not found:
        raise UnknownLayoutError(f"{path}: {_closest(levels, like)}")
    layouts = " or ".join(each.layout.title for each in found)
    alike = [each for each in found if _is(each.layout, like)]
    if like and not alike:
        raise CheckpointError(f"{path}: weights of {layouts}, not of {like.__name__}")
    if len(alike) > 1:
        raise CheckpointError(f"{path}: the names of its tensors are those of {layouts}; say which network it is")
    return alike[0]


def is_layout_of(tensors: Mapping[str, Tensor], like: Builder) -> bool:
    """Tell whether a known layout of that class of networks has all names of a state dict; it may still not fit."""
    return any(_fitting(level, {}, like) for level in without_prefixes(tensors))


def _fitting(tensors: Mapping[str, Tensor], facts: Mapping[str, Any], like: Builder | None = None) -> list[Match]:
    view = StateDictView(tensors)
    found: list[Match] = []
    for layout in [each for each in LAYOUTS if _is(each, like)]:
        try:
            read = layout.read(view)
            renamed, unknown = layout.rename(list(tensors), read)
        except UnfitError:
            continue
        if not unknown:
            seen = {name: value for name, value in read.items() if not name.startswith("_")}
            ours = {new: tensors[old] for old, new in renamed.items()}
            found.append(Match(layout, ours, {**seen, **facts}))
    return found


def without_prefixes(tensors: Mapping[str, Tensor]) -> Iterator[Mapping[str, Tensor]]:
    """Give a state dict as it is, and then without what trainers write ahead of all names, part by part.

    Such are DataParallel's ``module.``, GAN trainers' ``netG.`` and ``generator.``, torch.compile's ``_orig_mod.``.
    """
    yield tensors
    for _ in range(8):
        if len({name.partition(".")[0] for name in tensors}) > 1 or not all("." in name for name in tensors):
            break
        tensors = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
        yield tensors


def _is(layout: Layout, like: Builder | None) -> bool:
    return like is None or network_spec(layout.network).constructor[0] is like


def _closest(levels: Sequence[Mapping[str, Tensor]], like: Builder | None) -> str:
    """Say which layout is the closest to a state dict, and what keeps it from being one."""
    whole = list(levels[0])
    first = ", ".join(map(shown, whole[:3])) + (", ..." if len(whole) > 3 else "")
    unknown = f"no known layout of weights ({len(whole)} tensors: {first})"
    ours = "" if like else "; where a network of srblocks saved them without its configuration, name it (network=)"
    tried = [(layout, level) for layout in LAYOUTS if _is(layout, like) for level in levels]
    layout, tensors = max(tried, key=lambda pair: pair[0].likeness(list(pair[1])), default=(None, {}))
    if layout is None or layout.likeness(list(tensors)) < 0.2:
        return unknown + ours
    try:
        strange = layout.rename(list(tensors), layout.read(StateDictView(tensors)))[1]
        reason = f"{len(strange)} of its tensors are unknown there, first {shown(strange[0])}"
    except UnfitError as error:
        reason = str(error)
    return f"{unknown}; closest is {layout.title}, but {reason}{ours}"

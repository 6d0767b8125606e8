"""Rewrite context: the network being rewritten, its modules and sequential runs, and the decisions so far."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from torch import nn

from ..network import Network
from .matching import is_exactly, own_sequential_slots, sequential_children
from .report import Decision


@dataclass(frozen=True)
class ModuleRef:
    """A module slot, addressed by its path below `root`."""

    root: nn.Module
    path: str

    @property
    def module(self) -> nn.Module:
        """The module that the slot holds now."""
        return self.root.get_submodule(self.path)

    def replace(self, module: nn.Module) -> None:
        """Put another module into the slot."""
        self.root.set_submodule(self.path, module)


class RewriteContext:
    """A network that is being rewritten, and the decisions so far.

    Args:
        net: the network; rewrites change it in place.
        always: names of the rewrites to apply also where they do not pay off.
        min_size: H and W that the rewritten network must still accept, see `optimize`; None for no requirement.
    """

    def __init__(self, net: Network, *, always: frozenset[str] = frozenset(), min_size: int | None = None) -> None:
        self.net = net
        self.always = always
        self.min_size = min_size
        self.decisions: list[Decision] = []

    def applied(self, rewrite: str, path: str, result: str) -> None:
        """Record that the module at `path` was rewritten."""
        self.decisions.append(Decision(rewrite, path, True, result))

    def declined(self, rewrite: str, path: str, reason: str) -> None:
        """Record that the module at `path` was kept."""
        self.decisions.append(Decision(rewrite, path, False, reason))

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield every module with its path, children before parents; shared modules once."""
        yield from reversed(list(self.net.named_modules()))

    def replace_all(self, old: nn.Module, new: nn.Module) -> None:
        """Replace `old` by `new` everywhere, so that shared modules stay shared."""
        for path, module in list(self.net.named_modules(remove_duplicate=False)):
            if module is old:
                self.replace(path, new)

    def replace(self, path: str, new: nn.Module) -> None:
        """Put `new` at one path; the empty path is the network itself."""
        if path:
            self.net.set_submodule(path, new)
        else:
            assert isinstance(new, Network)
            self.net = new

    def sequential_slots(self) -> list[list[ModuleRef]]:
        """Return the runs of modules that execute one after another, with no other consumer of their outputs.

        They come from `Network.sequential_slots` and from every ``nn.Sequential``. Nested containers are flattened
        and identities are left out.
        """
        flattener = _Flattener(self.net)
        roots: list[list[str]] = []
        for path, module in self.net.named_modules():
            if isinstance(module, Network):
                roots += [[f"{path}.{slot}".lstrip(".") for slot in slots] for slots in own_sequential_slots(module)]
        roots += [[path] for path, module in self.net.named_modules() if sequential_children(module) is not None]
        found: list[list[ModuleRef]] = []
        for root in roots:
            refs = (ref for path in root for ref in flattener.refs(path))
            found += [[ref for ref in run if ref] for is_run, run in groupby(refs, bool) if is_run]
        return found


class _Flattener:
    """Flattens sequential containers into their modules, each container once."""

    def __init__(self, net: Network) -> None:
        self._net = net
        self._uses = Counter(module for _, module in net.named_modules(remove_duplicate=False))
        self._visited: set[nn.Module] = set()

    def refs(self, path: str) -> Iterator[ModuleRef | None]:
        """Yield the slots below `path`; None where a run ends because a container is also used elsewhere."""
        module = self._net.get_submodule(path)
        children = sequential_children(module)
        if children is None:
            if not is_exactly(module, nn.Identity):
                yield ModuleRef(self._net, path)
            return
        shared = self._uses[module] > 1
        if shared:
            yield None
        if module not in self._visited:
            self._visited.add(module)
            for name in children:
                yield from self.refs(f"{path}.{name}".lstrip("."))
        if shared:
            yield None

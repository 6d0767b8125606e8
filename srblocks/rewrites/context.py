"""Where modules sit in a network, and which of them run directly behind one another."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TypeGuard, TypeVar

import torch
from torch import nn

from ..network import Network
from .report import Decision

Kind = TypeVar("Kind", bound=nn.Module)


@dataclass(frozen=True)
class ModuleRef:
    """A place in a network that holds a module; `path` leads there from the whole network."""

    root: nn.Module
    path: str

    @property
    def module(self) -> nn.Module:
        """The module that is there now."""
        return self.root.get_submodule(self.path)

    def put(self, module: nn.Module) -> None:
        """Put another module there."""
        self.root.set_submodule(self.path, module)


class RewriteContext:
    """A network that is being rewritten, and the decisions so far.

    Args:
        net: the network, which the rewrites change.
        smallest: H and W that the network must go on taking, see `optimize`; None for no such wish.
    """

    def __init__(self, net: Network, *, smallest: int | None = None) -> None:
        self.net = net
        self.smallest = smallest
        self.decisions: list[Decision] = []

    def applied(self, rewrite: str, path: str, result: str) -> None:
        """Note that the module at `path` was rewritten."""
        self.decisions.append(Decision(rewrite, path, True, result))

    def declined(self, rewrite: str, path: str, reason: str) -> None:
        """Note that the module at `path` was left alone."""
        self.decisions.append(Decision(rewrite, path, False, reason))

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Give every module with its path, children before parents; a shared one comes once."""
        yield from reversed(list(self.net.named_modules()))

    def substitute(self, old: nn.Module, new: nn.Module) -> None:
        """Put `new` wherever `old` is, so that what was shared stays shared."""
        for path, module in list(self.net.named_modules(remove_duplicate=False)):
            if module is old:
                self.put(path, new)

    def put(self, path: str, new: nn.Module) -> None:
        """Put `new` at one path; at "" it is the network."""
        if path:
            self.net.set_submodule(path, new)
        else:
            assert isinstance(new, Network)
            self.net = new

    def sequential_slots(self) -> list[list[ModuleRef]]:
        """Give the runs of modules of which each sees the output of the one before it and nobody else does.

        They come from `Network.sequential_slots` and from every ``nn.Sequential``, with nested ones opened; identities are left
        out.
        """
        opening = _Opening(self.net)
        roots: list[list[str]] = []
        for path, module in self.net.named_modules():
            if isinstance(module, Network):
                roots += [[f"{path}.{slot}".lstrip(".") for slot in chain] for chain in own_sequential_slots(module)]
        roots += [[path] for path, module in self.net.named_modules() if _children_in_order(module) is not None]
        found: list[list[ModuleRef]] = []
        for root in roots:
            sites = (site for path in root for site in opening.sites(path))
            found += [[site for site in run if site] for inside, run in groupby(sites, bool) if inside]
        return found


class _Opening:
    """Opens containers whose children run one after another, each container once."""

    def __init__(self, net: Network) -> None:
        self._net = net
        self._times = Counter(module for _, module in net.named_modules(remove_duplicate=False))
        self._opened: set[nn.Module] = set()

    def sites(self, path: str) -> Iterator[ModuleRef | None]:
        """Give the sites below `path`; None where a run ends because a container also runs elsewhere."""
        module = self._net.get_submodule(path)
        children = _children_in_order(module)
        if children is None:
            if not is_exactly(module, nn.Identity):
                yield ModuleRef(self._net, path)
            return
        shared = self._times[module] > 1
        if shared:
            yield None
        if module not in self._opened:
            self._opened.add(module)
            for name in children:
                yield from self.sites(f"{path}.{name}".lstrip("."))
        if shared:
            yield None


def _children_in_order(module: nn.Module) -> list[str] | None:
    """Names of the children that `module` runs one after another and nothing else; None for any other module."""
    if not is_exactly(module, nn.Sequential):
        return None
    return [name for name, _ in module.named_modules(remove_duplicate=False) if name and "." not in name]


def own_sequential_slots(net: Network) -> list[list[str]]:
    """Give `net.sequential_slots()`, unless a subclass has a forward that they do not describe."""
    order = type(net).__mro__
    forward = next(i for i, cls in enumerate(order) if "forward" in vars(cls))
    chains = next(i for i, cls in enumerate(order) if "chains" in vars(cls))
    return net.sequential_slots() if chains <= forward else []


def is_exactly(module: nn.Module | None, kind: type[Kind]) -> TypeGuard[Kind]:
    """Tell whether `module` is of a class and does what that does: no forward of its own, and no hooks."""
    if not isinstance(module, kind) or "forward" in vars(module) or type(module).forward is not kind.forward:
        return False
    return not any(vars(module)[hooks] for hooks in ("_forward_hooks", "_forward_pre_hooks"))


def image_for(net: Network, height: int, width: int) -> torch.Tensor:
    """Give noise, the same every time, in the network's precision and on its device."""
    held = next(tensor for tensor in [*net.parameters(), *net.buffers()] if tensor.is_floating_point())
    noise = torch.Generator().manual_seed(0)
    return torch.rand(1, net.image_channels, height, width, generator=noise, dtype=torch.float64).to(held)


def record_shapes(net: Network, side: int) -> dict[str, tuple[torch.Size, torch.Size]]:
    """Run `net` on an image of about `side` x `side`; give the shapes of input and output of each module by path.

    Of modules that run several times the smallest input counts; those with other than one tensor in and out are left
    out, and all of a network that does not take such an image.
    """
    shapes: dict[str, tuple[torch.Size, torch.Size]] = {}

    def watch(path: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def note(_: nn.Module, given: tuple[object, ...], output: object) -> None:
            if len(given) == 1 and isinstance(given[0], torch.Tensor) and isinstance(output, torch.Tensor):
                before = shapes.get(path)
                if before is None or given[0].shape.numel() < before[0].numel():
                    shapes[path] = (given[0].shape, output.shape)

        return note

    hooks = [module.register_forward_hook(watch(path)) for path, module in net.named_modules()]
    side = -(-side // net.size_multiple) * net.size_multiple
    try:
        with torch.inference_mode():
            net(image_for(net, side, side))
    except Exception:  # a forward of the user's own may raise anything
        return {}
    finally:
        for hook in hooks:
            hook.remove()
    return shapes

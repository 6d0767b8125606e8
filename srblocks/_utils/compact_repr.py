"""Module representation without empty slots."""

import copy

from torch import nn


def _is_empty(module: nn.Module | None) -> bool:
    if isinstance(module, nn.ModuleList):
        return all(_is_empty(child) for child in module.children())
    return module is None or type(module) is nn.Identity


class CompactRepr(nn.Module):
    """Base class of modules whose `repr` leaves out empty slots: None, `nn.Identity`, and lists of them.

    An unused slot (no normalization, no attention, ...) holds `nn.Identity`, so that ``forward`` reads like the paper's
    figure and compiles with TorchScript. Printing these slots would only hide the layers that do something.
    """

    def __repr__(self) -> str:
        """Return the usual representation, without empty slots."""
        shown = copy.copy(self)
        vars(shown)["_modules"] = {name: child for name, child in self._modules.items() if not _is_empty(child)}
        vars(shown)["extra_repr"] = self.extra_repr  # may read a slot that is not shown
        return super(CompactRepr, shown).__repr__()

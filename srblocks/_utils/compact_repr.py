"""Module representation without empty slots."""

import copy

from torch import nn


class CompactRepr(nn.Module):
    """Base class of modules whose `repr` leaves out empty slots: `nn.Identity` and None.

    An unused slot (no normalization, no attention, ...) holds `nn.Identity`, so that ``forward`` reads like the paper's
    figure and compiles with TorchScript. Printing these slots would only hide the layers that do something.
    """

    def __repr__(self) -> str:
        """Return the usual representation, without empty slots."""
        shown = copy.copy(self)
        vars(shown)["_modules"] = {
            name: child for name, child in self._modules.items() if child is not None and type(child) is not nn.Identity
        }
        return super(CompactRepr, shown).__repr__()

"""Memory: the peak of activations, counted exactly and without running anything, and errors that mean too little."""

import copy
import re
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_OUT_OF_MEMORY = re.compile(r"allocate memory|(not enough|out of) memory|bad_?\s?alloc", re.IGNORECASE)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of Python, torch or another library means that there is too little memory.

    Example:
        >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
        True
    """
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or bool(_OUT_OF_MEMORY.search(str(error)))


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, from operation to operation.

    Views share the bytes of their tensor, in-place operations make none. What an operation uses inside it is its
    library's own and does not count.

    Args:
        free: tensors that do not count, such as parameters.

    Attributes:
        live: bytes alive now.
        peak: most bytes alive after any operation, its inputs among them.
    """

    def __init__(self, free: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self._known: set[int] = set()
        self._free = [tensor.untyped_storage() for tensor in free]
        self._known.update(storage._cdata for storage in self._free)  # pyright: ignore[reportPrivateUsage]

    def count(self, tensor: Tensor) -> None:
        """Count a tensor until nothing refers to its storage any more."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()  # pyright: ignore[reportPrivateUsage]
        if key not in self._known:
            self._known.add(key)
            self.live += size
            weakref.finalize(storage, self._release, key, size)
        self.peak = max(self.peak, self.live)

    def _release(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count what it gives."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.count(leaf)
        return result


@torch.no_grad()
def peak_bytes(net: nn.Module, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> int:
    """Give the most bytes of activations that are alive at once when `net` runs on images of `shape`.

    The input counts, parameters and buffers do not. The caller keeps the input, as eager PyTorch does.
    """
    twin = copy.deepcopy(net).to(dtype).to("meta").eval()
    images = torch.empty(shape, dtype=dtype, device="meta")
    with LiveTensors([*twin.parameters(), *twin.buffers()]) as tensors:
        tensors.count(images)
        twin(images)
    return tensors.peak

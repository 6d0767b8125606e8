"""Peak activation memory, computed on the meta device, and recognition of out-of-memory errors."""

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
    """Return whether an exception of Python, torch or another library is an out-of-memory error.

    Examples:
        >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
        True
    """
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or bool(_OUT_OF_MEMORY.search(str(error)))


class LiveTensors(TorchDispatchMode):
    """Dispatch mode that tracks the bytes of all live tensors.

    Views share the storage of their tensor, and in-place operations allocate nothing. Workspaces inside of operations
    are not counted.

    Args:
        free: tensors that are not counted, such as parameters.

    Attributes:
        live: bytes of the tensors that are alive now.
        peak: maximum of `live` after any operation, including its inputs.
    """

    def __init__(self, free: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self._known: set[int] = set()
        self._free = [tensor.untyped_storage() for tensor in free]
        self._known.update(storage._cdata for storage in self._free)  # pyright: ignore[reportPrivateUsage]

    def count(self, tensor: Tensor) -> None:
        """Count a tensor for as long as its storage is alive."""
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
        """Run an operation and count its results."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.count(leaf)
        return result


@torch.no_grad()
def peak_bytes(net: nn.Module, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> int:
    """Return the peak bytes of activations when `net` runs on images of `shape`.

    The input is counted and stays alive, as in eager PyTorch; parameters and buffers are not counted.
    """
    twin = copy.deepcopy(net).to(dtype).to("meta").eval()
    images = torch.empty(shape, dtype=dtype, device="meta")
    with LiveTensors([*twin.parameters(), *twin.buffers()]) as tensors:
        tensors.count(images)
        twin(images)
    return tensors.peak

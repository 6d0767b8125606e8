"""FLOPs and memory traffic of a network, counted on the meta device."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from srblocks.precision import PRECISIONS
from srblocks.precision.conversion import InPrecision

aten = torch.ops.aten
ALLOCATIONS = {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided}
"""They neither read nor write; PyTorch's batch normalization and PReLU allocate unused tensors."""

OVERWRITING = {aten.copy_, aten.fill_, aten.zero_}
"""In-place operations that do not read the tensor they write."""

CONCATENATIONS = {aten.cat, aten.stack}
INTERPOLATIONS = {aten.upsample_nearest2d, aten.upsample_bilinear2d, aten.upsample_bicubic2d}


@dataclass(frozen=True)
class Operation:
    """One PyTorch operation that is not a view.

    Attributes:
        name: operator name, such as "aten.convolution".
        flops: 2 per multiply-accumulate of a convolution or matrix product; 0 for all other operations.
        read: bytes of its operands, including weights.
        written: bytes of its results.
        epilogue: bytes that it moves when fused into the previous operation, whose result is then in registers: all
            operands except the largest; zero for concatenations, whose parts are written in place; all bytes for
            convolutions, matrix products and interpolations.
    """

    name: str
    flops: int
    read: int
    written: int
    epilogue: int

    @property
    def bytes(self) -> int:
        """Bytes read and written by the operation on its own."""
        return self.read + self.written


@dataclass(frozen=True)
class Work:
    """Operations of a network for images of one shape.

    Attributes:
        precision: precision of weights and activations.
        steps: the operations in order, without views and allocations.
        minimal_bytes: bytes of the input, the output and the used weights, once each.
    """

    precision: str
    steps: tuple[Operation, ...]
    minimal_bytes: int

    @property
    def operations(self) -> int:
        """Number of operations."""
        return len(self.steps)

    @property
    def flops(self) -> int:
        """FLOPs of all convolutions and matrix products."""
        return sum(step.flops for step in self.steps)

    @property
    def macs(self) -> int:
        """Multiply-accumulates: half the FLOPs."""
        return self.flops // 2


class Counter(TorchDispatchMode):
    """Dispatch mode that records every operation that is not a view.

    Attributes:
        steps: the operations so far.
        used: addresses of the storages that they read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Operation] = []
        self.used: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and record it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        operator = func.overloadpacket
        results = tensors(result)
        given = {argument.name for argument in func._schema.arguments if argument.is_out}
        read = {name: value for name, value in kwargs.items() if name not in given}
        operands = tensors((args[1:] if operator in OVERWRITING else args, read))
        sources = set(map(storage, operands))
        view = not func._schema.is_mutable and bool(results) and sources.issuperset(map(storage, results))
        if not view and operator not in ALLOCATIONS:
            self.used |= sources
            formula = flop_registry.get(operator)
            flops = formula(*args, **kwargs, out_val=result) if formula else 0
            sizes, written = list(map(size, operands)), sum(map(size, results))
            if formula or operator in INTERPOLATIONS:
                epilogue = sum(sizes) + written
            else:
                epilogue = 0 if operator in CONCATENATIONS else sum(sizes) - max(sizes, default=0)
            self.steps.append(Operation(str(operator), flops, sum(sizes), written, epilogue))
        return result


def tensors(tree: Any) -> list[Tensor]:
    """Return the tensors among arguments or results."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def storage(tensor: Tensor) -> int:
    """Return an identifier of the storage of a tensor, valid while it is alive."""
    return tensor.untyped_storage()._cdata


def size(tensor: Tensor) -> int:
    """Return the bytes of a tensor in memory; an expanded tensor counts once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def on_meta(net: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    """Return a copy on the meta device in eval mode with another dtype; None keeps the dtypes."""

    def empty_like(tensor: Tensor) -> Tensor:
        kind = dtype if dtype and tensor.is_floating_point() else tensor.dtype
        empty = torch.empty_like(tensor, dtype=kind, device="meta")
        return nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty

    known = {id(tensor): empty_like(tensor) for tensor in (*net.parameters(), *net.buffers())}
    return copy.deepcopy(net, known).eval()


@torch.no_grad()
def work(net: nn.Module, shape: Iterable[int], precision: str = "fp32") -> Work:
    """Count the operations of `net` for images of `shape`.

    Multiply-accumulates follow PyTorch's formulas: a transposed convolution costs its weights times the pixels of its
    input. A network converted by `srblocks.to_precision` keeps its dtypes, and its images are float32.

    Args:
        net: the network; it is not changed.
        shape: shape of the images, (N, C, H, W).
        precision: "fp32", "fp16" or "bf16", of weights, images and features.

    Raises:
        ValueError: an unknown precision, or one that the network was not converted to.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; available: {', '.join(PRECISIONS)}")
    dtype = PRECISIONS[precision]
    converted = {module.dtype for module in net.modules() if isinstance(module, InPrecision)}
    if converted - {dtype}:
        raise ValueError(f"precision={precision!r}: the network was converted to another precision by to_precision")
    meta_net = on_meta(net, None if converted else dtype)
    images = torch.empty(tuple(shape), dtype=torch.float32 if converted else dtype, device="meta")
    with Counter() as counter:
        output = meta_net(images)
    weights = {storage(tensor): size(tensor) for tensor in (*meta_net.parameters(), *meta_net.buffers())}
    used = sum(number for key, number in weights.items() if key in counter.used)
    return Work(precision, tuple(counter.steps), size(images) + used + sum(map(size, tensors(output))))

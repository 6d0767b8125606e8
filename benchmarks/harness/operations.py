"""Floating-point operations and bytes of a network, counted on the meta device: nothing is computed."""

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
"""Neither read nor write; batch normalization and PReLU of PyTorch allocate tensors that they do not use."""

OVERWRITING = {aten.copy_, aten.fill_, aten.zero_}
"""Do not read the tensor that they write, unlike other operations in place."""

CONCATENATIONS = {aten.cat, aten.stack}
INTERPOLATIONS = {aten.upsample_nearest2d, aten.upsample_bilinear2d, aten.upsample_bicubic2d}


@dataclass(frozen=True)
class Operation:
    """One operation of PyTorch that is no view.

    Attributes:
        name: of the operator, as "aten.convolution".
        flops: 2 for each multiply-accumulate of a convolution or matrix product; 0 for every other operation.
        read: bytes of its operands, weights among them.
        written: bytes of its results.
        epilogue: bytes that it moves where it is computed together with the operation ahead of it, whose result is then
            at hand: all operands but the largest. Nothing for a concatenation, whose parts are written side by side;
            everything for convolutions, matrix products and interpolations.
    """

    name: str
    flops: int
    read: int
    written: int
    epilogue: int

    @property
    def bytes(self) -> int:
        """Read and written by the operation alone."""
        return self.read + self.written


@dataclass(frozen=True)
class Work:
    """What a network does for images of one shape.

    Attributes:
        precision: what it was counted in.
        steps: its operations, in order; views and allocations are none.
        minimal_bytes: the input, the output, and the weights that it uses, once each.
    """

    precision: str
    steps: tuple[Operation, ...]
    minimal_bytes: int

    @property
    def operations(self) -> int:
        """How many operations there are."""
        return len(self.steps)

    @property
    def flops(self) -> int:
        """Floating-point operations of all convolutions and matrix products."""
        return sum(step.flops for step in self.steps)

    @property
    def macs(self) -> int:
        """Multiply-accumulates, half as many."""
        return self.flops // 2


class Counter(TorchDispatchMode):
    """Records every operation that is no view.

    Attributes:
        steps: the operations so far.
        used: the storages that they read, by address.
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
    """The tensors among arguments or results."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def storage(tensor: Tensor) -> int:
    """What tells the memory of a tensor from that of others as long as it lives."""
    return tensor.untyped_storage()._cdata


def size(tensor: Tensor) -> int:
    """The bytes that a tensor takes of memory; an expanded one takes no more than what it expands."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def described(net: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    """A copy on the meta device, in eval mode, in another type; None keeps the types. No weight is read."""

    def alike(tensor: Tensor) -> Tensor:
        kind = dtype if dtype and tensor.is_floating_point() else tensor.dtype
        empty = torch.empty_like(tensor, dtype=kind, device="meta")
        return nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty

    known = {id(tensor): alike(tensor) for tensor in (*net.parameters(), *net.buffers())}
    return copy.deepcopy(net, known).eval()


@torch.no_grad()
def work(net: nn.Module, shape: Iterable[int], precision: str = "fp32") -> Work:
    """Count what `net`, which is not changed, does for images of `shape`.

    Multiply-accumulates are those of PyTorch's own formulas, by which a transposed convolution costs its weights times
    the pixels of its input. A network of `srblocks.to_precision` keeps its types, and its images are float32.

    Args:
        net: the network.
        shape: of the images, (N, C, H, W).
        precision: "fp32", "fp16" or "bf16", of weights, images and features.

    Raises:
        ValueError: an unknown precision, or one that the network was not converted to.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} is unknown; use {', '.join(PRECISIONS)}")
    dtype = PRECISIONS[precision]
    converted = {module.dtype for module in net.modules() if isinstance(module, InPrecision)}
    if converted - {dtype}:
        raise ValueError(f"precision={precision!r}: to_precision made this network for another one; give that")
    twin = described(net, None if converted else dtype)
    images = torch.empty(tuple(shape), dtype=torch.float32 if converted else dtype, device="meta")
    with Counter() as counter:
        output = twin(images)
    weights = {storage(tensor): size(tensor) for tensor in (*twin.parameters(), *twin.buffers())}
    used = sum(number for key, number in weights.items() if key in counter.used)
    return Work(precision, tuple(counter.steps), size(images) + used + sum(map(size, tensors(output))))

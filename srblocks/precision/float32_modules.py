"""Wrappers that keep modules in float32 inside a network of another precision."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..errors import ArgumentError
from .module_paths import parent_paths


class _Float32(nn.Module):
    """Run a module in float32, whatever the surrounding precision.

    TorchScript requires explicit types, so there is one class per signature of ``forward``. They also have the other
    methods through which blocks call one another.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module: Any = module


class _Float32One(_Float32):
    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.float()).to(x.dtype)

    def gate(self, x: Tensor) -> Tensor:
        return self.module.gate(x.float()).to(x.dtype)

    def fold(self, x: Tensor) -> Tensor:
        return self.module.fold(x.float()).to(x.dtype)

    def states(self, x: Tensor) -> list[Tensor]:
        return [state.to(x.dtype) for state in self.module.states(x.float())]


class _Float32OneToTwo(_Float32):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.module(x.float())
        return first.to(x.dtype), second.to(x.dtype)


class _Float32TwoToOne(_Float32):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.module(x.float(), y.float()).to(x.dtype)


class _Float32Two(_Float32):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.module(x.float(), y.float())
        return first.to(x.dtype), second.to(x.dtype)

    def first(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.module.first(x.float())
        return first.to(x.dtype), second.to(x.dtype)


class _Float32ManyToOne(_Float32):
    def forward(self, tensors: list[Tensor]) -> Tensor:
        return self.module([tensor.float() for tensor in tensors]).to(tensors[0].dtype)


_KINDS = (_Float32One, _Float32OneToTwo, _Float32TwoToOne, _Float32Two, _Float32ManyToOne)


def wrap_float32(net: nn.Module, kept: set[nn.Module]) -> None:
    """Wrap the outermost of the modules to keep, so that the modules around them can call them.

    Args:
        net: the network, changed in place.
        kept: the modules that stay in float32, with all their submodules.

    Raises:
        ArgumentError: an input or output of one of them is not a tensor, a pair of tensors or a list of tensors.
    """
    wrappers: dict[nn.Module, _Float32] = {}
    wrapped: set[str] = set()
    for path, module in list(net.named_modules(remove_duplicate=False)):
        if module not in kept or isinstance(module, (nn.ModuleList, nn.ModuleDict, nn.Identity)):
            continue
        if not any(parent in wrapped for parent in parent_paths(path)):
            wrapped.add(path)
            if module not in wrappers:
                wrappers[module] = _wrap(module, path)
            net.set_submodule(path, wrappers[module])


def _wrap(module: nn.Module, path: str) -> _Float32:
    methods = _methods(type(module))
    for kind in _KINDS:
        if methods.items() <= _methods(kind).items():
            return kind(module)
    signatures = ", ".join(f"{name}{types}" for name, types in methods.items())
    raise ArgumentError(
        f"{path} is a {type(module).__name__} with {signatures}, which cannot stay in float32 on its own",
        f"list its submodules, '{re.escape(path)}[.].*', or its parent",
        argument="fp32_modules",
    )


def _methods(kind: type[nn.Module]) -> dict[str, str]:
    """Return the public methods of a class that take a tensor, with their signatures."""
    functions = inspect.getmembers(kind, inspect.isfunction)
    public = {name: _types(function) for name, function in functions if name == "forward" or _is_own(name)}
    return {name: types for name, types in public.items() if "Tensor" in types.partition(" -> ")[0]}


def _is_own(name: str) -> bool:
    return not (name.startswith("_") or hasattr(nn.Sequential, name))


def _types(method: Callable[..., Any]) -> str:
    """Return the types of the required arguments and of the result; unannotated ones count as tensors."""
    signature = inspect.signature(method)
    required = [each for each in list(signature.parameters.values())[1:] if each.default is each.empty]
    annotations = [Tensor if each.annotation is each.empty else each.annotation for each in required]
    result = Tensor if signature.return_annotation is signature.empty else signature.return_annotation
    *inputs, output = [_name(annotation) for annotation in (*annotations, result)]
    return f"({', '.join(inputs)}) -> {output}"


def _name(annotation: object) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(torch|typing)\.", "", text).replace("List[", "list[").replace("Tuple[", "tuple[")

"""Islands: modules that compute in float32 inside a network of another precision."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .module_paths import parent_paths


class _Island(nn.Module):
    """Runs a module in float32, whatever the precision around it.

    TorchScript wants every type written down, so there is a class for each kind of ``forward``. Beside it they have
    the methods by which our blocks also call one another.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module: Any = module


class _One(_Island):
    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.float()).to(x.dtype)

    def gate(self, x: Tensor) -> Tensor:
        return self.module.gate(x.float()).to(x.dtype)

    def fold(self, x: Tensor) -> Tensor:
        return self.module.fold(x.float()).to(x.dtype)

    def states(self, x: Tensor) -> list[Tensor]:
        return [state.to(x.dtype) for state in self.module.states(x.float())]


class _OneToTwo(_Island):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.module(x.float())
        return first.to(x.dtype), second.to(x.dtype)


class _TwoToOne(_Island):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.module(x.float(), y.float()).to(x.dtype)


class _Two(_Island):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.module(x.float(), y.float())
        return first.to(x.dtype), second.to(x.dtype)

    def first(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.module.first(x.float())
        return first.to(x.dtype), second.to(x.dtype)


class _ManyToOne(_Island):
    def forward(self, tensors: list[Tensor]) -> Tensor:
        return self.module([tensor.float() for tensor in tensors]).to(tensors[0].dtype)


_KINDS = (_One, _OneToTwo, _TwoToOne, _Two, _ManyToOne)


def wrap_float32(net: nn.Module, kept: set[nn.Module]) -> None:
    """Put an island around those of the modules to keep that a module outside of them calls.

    Raises:
        ValueError: one of them takes or gives something else than tensors, pairs of them, or a list of them.
    """
    islands: dict[nn.Module, _Island] = {}
    enclosed: set[str] = set()
    for path, module in list(net.named_modules(remove_duplicate=False)):
        if module not in kept or isinstance(module, (nn.ModuleList, nn.ModuleDict, nn.Identity)):
            continue
        if not any(place in enclosed for place in parent_paths(path)):
            enclosed.add(path)
            if module not in islands:
                islands[module] = _island(module, path)
            net.set_submodule(path, islands[module])


def _island(module: nn.Module, path: str) -> _Island:
    methods = _methods(type(module))
    for kind in _KINDS:
        if methods.items() <= _methods(kind).items():
            return kind(module)
    offered = ", ".join(f"{name}{types}" for name, types in methods.items())
    raise ValueError(
        f"fp32_modules: {path} is a {type(module).__name__} with {offered}, which cannot stay in float32 by itself; "
        f"name the modules inside it, '{re.escape(path)}[.].*', or what holds it"
    )


def _methods(kind: type[nn.Module]) -> dict[str, str]:
    """Give the public methods of a class that take a tensor, with the types of what they take and give."""
    functions = inspect.getmembers(kind, inspect.isfunction)
    public = {name: _types(function) for name, function in functions if name == "forward" or _is_own(name)}
    return {name: types for name, types in public.items() if "Tensor" in types.partition(" -> ")[0]}


def _is_own(name: str) -> bool:
    return not (name.startswith("_") or hasattr(nn.Sequential, name))


def _types(method: Callable[..., Any]) -> str:
    """Give the types of the arguments without a default, and of the result; what says nothing is a tensor."""
    signature = inspect.signature(method)
    taken = [each for each in list(signature.parameters.values())[1:] if each.default is each.empty]
    written = [Tensor if each is signature.empty else each for each in (each.annotation for each in taken)]
    result = Tensor if signature.return_annotation is signature.empty else signature.return_annotation
    *given, gives = [_name(annotation) for annotation in (*written, result)]
    return f"({', '.join(given)}) -> {gives}"


def _name(annotation: object) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(torch|typing)\.", "", text).replace("List[", "list[").replace("Tuple[", "tuple[")

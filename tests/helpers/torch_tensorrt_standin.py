"""Fake `torch_tensorrt` for contract tests without a GPU, with the function parameters of a recorded version.

`data/torch_tensorrt.json` lists the parameters of the real functions, extracted from their sources by `surface`.
Parameters that a version lacks raise TypeError, even where the real function would silently ignore them. An engine is
a part of the graph that PyTorch runs on the CPU. The tests verify the names and arguments of our calls and the handling
of their results; only TensorRT itself can show that they work.
"""

import ast
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from logging import getLogger
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch.fx.passes.split_module import split_module

from helpers.support import facts

SURFACES = facts("torch_tensorrt.json")
VERSIONS = list(SURFACES)
# The functions and the files that define them.
_FUNCTIONS = {
    "compile": "dynamo/_compiler.py",
    "export": "dynamo/_exporter.py",
    "save": "_compile.py",
    "load": "_compile.py",
}
_SETTINGS = ("disable_tf32", "workspace_size", "optimization_level", "hardware_compatible", "version_compatible")
_DEFAULTS = (*_SETTINGS, "min_block_size", "use_explicit_typing", "use_fp32_acc", "enable_autocast", "truncate_double")
_PARTS = ("_run_on_acc", "_run_on_gpu_")


def surface(read: Callable[[str], str]) -> dict[str, Any]:
    """Extract the API that we rely on from torch_tensorrt's sources; `read` returns the text of a file."""
    constants = _constants(read("_version.py"))
    found: dict[str, Any] = {"tensorrt": constants["__tensorrt_version__"], "functions": {}}
    for name, file in _FUNCTIONS.items():
        found["functions"][name] = _parameters(_definition(read(file), name))
    initial = next(
        node
        for node in ast.walk(_definition(read("_Input.py"), "Input"))
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    found["input"] = sorted(set(_keys(initial)))
    compiled = _definition(read("dynamo/_compiler.py"), "compile")
    defaults = _constants(read("dynamo/_defaults.py"))
    named = dict(zip((a.arg for a in compiled.args.kwonlyargs), compiled.args.kw_defaults, strict=True))
    found["defaults"] = {name: defaults[named[name].attr] for name in _DEFAULTS if name in named}
    parts = read("dynamo/_compiler.py") + read("dynamo/partitioning/_adjacency_partitioner.py")
    found["parts"] = [name for name in _PARTS if f'"{name}"' in parts]
    found["unsupported"] = _definition(
        read("dynamo/conversion/_TRTInterpreter.py"), "UnsupportedOperatorException"
    ).name
    return found


def version_of(read: Callable[[str], str]) -> str:
    """Return the version that the sources declare."""
    return str(_constants(read("_version.py"))["__version__"])


def _definition(source: str, name: str) -> Any:
    return next(node for node in ast.parse(source).body if getattr(node, "name", None) == name)


def _parameters(function: ast.FunctionDef) -> dict[str, Any]:
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    extra = arguments.kwarg is not None
    return {"positional": names, "keyword": sorted(a.arg for a in arguments.kwonlyargs), "swallows_others": extra}


def _keys(function: ast.AST) -> Iterable[str]:
    """Yield the keywords that a function reads from **kwargs."""
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and _is_kwargs(node.comparators[-1]) and isinstance(node.left, ast.Constant):
            yield node.left.value
        elif isinstance(node, ast.Subscript) and _is_kwargs(node.value) and isinstance(node.slice, ast.Constant):
            yield node.slice.value


def _is_kwargs(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "kwargs"


def _constants(source: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


class Engine(nn.Module):
    """Fake of the module that wraps an engine."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = [part]  # in a list, so that it is not a submodule, like a real engine

    def forward(self, *inputs: Any) -> Any:
        return self.part[0](*inputs)


class Input:
    """Fake input specification, with the keywords of the faked version."""

    known: frozenset[str]

    def __init__(self, **keywords: Any) -> None:
        _check_keywords("Input", keywords, self.known)
        assert ("shape" in keywords) != {"min_shape", "opt_shape", "max_shape"}.issubset(keywords)
        shape = keywords.get("shape")
        self.ranges = (shape, shape, shape) if shape else tuple(keywords[f"{k}_shape"] for k in ("min", "opt", "max"))
        assert all(low <= optimum <= high for low, optimum, high in zip(*self.ranges, strict=True))
        self.dtype = keywords["dtype"]


class Standin:
    """Fake module and a record of the calls.

    Attributes:
        module: the module for `import torch_tensorrt`.
        calls: functions and arguments, in order.
        unsupported: operators without a converter.
        fault: exceptions to raise, by function name.
        tuned: the shape that engines are optimized for, which the real library takes from the traced input.
        cached: content of the timing cache before a compilation.
    """

    def __init__(self, version: str) -> None:
        self.surface = SURFACES[version]
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.unsupported: set[str] = set()
        self.fault: dict[str, BaseException] = {}
        self.tuned: tuple[int, ...] | None = None
        self.cached: bytes | None = None
        self.module = module = ModuleType("torch_tensorrt")
        attributes: dict[str, Any] = {
            "__version__": version,
            "Input": type("Input", (Input,), {"known": frozenset(self.surface["input"])}),
            "dynamo": ModuleType("torch_tensorrt.dynamo"),
            "save": self._strict("save", self._save),
            "load": self._strict("load", self._load),
        }
        module.__dict__.update(attributes)
        module.dynamo.compile = self._strict("compile", self._compile)
        module.dynamo.export = self._strict("export", self._export)
        self.unsupported_error = type(self.surface["unsupported"], (RuntimeError,), {})

    def called(self, name: str) -> dict[str, Any]:
        """Return the arguments of the only call of that function."""
        (arguments,) = [arguments for function, arguments in self.calls if function == name]
        return arguments

    def _strict(self, name: str, body: Callable[..., Any]) -> Callable[..., Any]:
        parameters = self.surface["functions"][name]

        def function(*positional: Any, **keywords: Any) -> Any:
            assert len(positional) <= len(parameters["positional"])
            _check_keywords(
                name, keywords, {*parameters["positional"], *parameters["keyword"]} - {"enabled_precisions"}
            )
            arguments = dict(zip(parameters["positional"], positional, strict=False)) | keywords
            assert len(arguments) == len(positional) + len(keywords)
            self.calls.append((name, arguments))
            print(f"torch_tensorrt prints in {name}")
            getLogger("torch_tensorrt.dynamo").warning("a warning of %s", name)
            warnings.warn("`use_explicit_typing` is deprecated.", DeprecationWarning, stacklevel=2)
            if name in self.fault:
                getLogger("torch_tensorrt [TensorRT Conversion Context]").error("TensorRT's own words\nand more")
                raise self.fault[name]
            return body(**arguments)

        return function

    def _compile(self, exported_program: Any, arg_inputs: Any, timing_cache_path: str, **settings: Any) -> Any:
        (ranges,) = arg_inputs
        low, _, high = ranges.ranges
        graph = exported_program.module(check_guards=False)
        (lr,) = [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]
        assert ranges.dtype == lr.dtype == torch.float32
        for size, low_size, high_size in zip(lr.shape, low, high, strict=True):
            if isinstance(size, int):
                assert low_size == high_size == size
            else:
                limits = size.node.shape_env.bound_sympy(size.node.expr)
                assert int(limits.lower) <= max(low_size, 2)
                assert int(limits.upper) == high_size
        self.tuned = tuple(size if isinstance(size, int) else size.node.hint for size in lr.shape)
        cache = Path(timing_cache_path)
        self.cached = cache.read_bytes() if cache.is_file() else None
        cache.parent.mkdir(exist_ok=True)
        cache.write_bytes(b"timings")
        operators = [node for node in graph.graph.nodes if node.op == "call_function"]
        if sum(str(node.target) not in self.unsupported for node in operators) < settings["min_block_size"]:
            return graph
        return self._partition(graph)

    def _partition(self, graph: torch.fx.GraphModule) -> torch.fx.GraphModule:
        """Split the graph into parts with the names of the real partitioner, and replace supported parts by engines."""
        number, previous = 0, None
        names: dict[torch.fx.Node, str] = {}
        for node in graph.graph.nodes:
            if node.op == "call_function":
                kind = "gpu" if str(node.target) in self.unsupported else "acc"
                number += previous is not None and kind != previous
                previous = kind
                names[node] = f"_run_on_{kind}_{number}"
        split = split_module(graph, graph, names.__getitem__)
        for node in split.graph.nodes:
            if node.op == "call_module":
                part, name = split.get_submodule(node.target), node.target.removeprefix("submod_")
                split.add_submodule(name, Engine(part) if "acc" in name else part)
                node.target = name
        split.delete_all_unused_submodules()
        split.recompile()
        return split

    @staticmethod
    def _export(gm: Any, arg_inputs: Any, dynamic_shapes: Any = None) -> Any:
        return torch.export.export(gm, arg_inputs, dynamic_shapes=dynamic_shapes)

    @staticmethod
    def _save(module: Any, file_path: str, extra_files: Mapping[str, str]) -> None:
        assert isinstance(module, torch.export.ExportedProgram)
        torch.export.save(module, file_path, extra_files=dict(extra_files), pickle_protocol=2)

    @staticmethod
    def _load(file_path: str) -> Any:
        try:
            return torch.export.load(file_path)
        except Exception:
            traceback.print_exc()
            raise ValueError(f"The file {file_path} doesn't correspond to a valid ExportedProgram.") from None


def _check_keywords(name: str, keywords: Iterable[str], known: Iterable[str]) -> None:
    if unknown := set(keywords) - set(known):
        raise TypeError(f"{name}() got an unexpected keyword argument {sorted(unknown)[0]!r}")


def install(monkeypatch: pytest.MonkeyPatch, version: str) -> Standin:
    """Replace torch_tensorrt by a fake, and CUDA by the CPU."""
    standin = Standin(version)
    monkeypatch.setitem(sys.modules, "torch_tensorrt", standin.module)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    for owner in (nn.Module, torch.Tensor):
        monkeypatch.setattr(owner, "cuda", lambda self: self)
    return standin

"""The public API: complete lists of names, and documentation of every class, function, argument and error."""

import ast
import builtins
import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import srblocks

MODULES = (
    "blocks",
    "upsampling",
    "networks",
    "losses",
    "checkpoints",
    "rewrites",
    "precision",
    "inference",
    "evaluate",
)
MODULES += ("errors", "network", "registry", "factory", "frameworks", "init", "color", "metrics", "resize", "tiling")
MODULES += ("pretrained", "_utils.files", "_utils.memory", "_utils.rounding", "integrations.registries")
OPTIONAL = {"integrations.hub": "huggingface_hub", "integrations.spandrel": "spandrel"}
SHARED_ARGUMENTS = {*inspect.signature(srblocks.Network.__init__).parameters}
"""Arguments of `Network`, which the frameworks pass on without documenting them again."""


def public(module: ModuleType) -> list[Any]:
    """Return the public classes and functions that a module defines or a package exports."""
    return [
        value
        for name, value in vars(module).items()
        if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
        if value.__module__ == module.__name__
        or (hasattr(module, "__path__") and f"{module.__name__}." in value.__module__)
    ]


@cache
def documented() -> list[Any]:
    """Return every public class and function."""
    names = [f"srblocks.{name}" for name in MODULES]
    names += [f"srblocks.{name}" for name, needed in OPTIONAL.items() if importlib.util.find_spec(needed)]
    names += [f"srblocks_export.{name}" for name in ("errors", "export", "report", "config", "runtime")]
    found = [value for name in names for value in public(importlib.import_module(name))]
    found += [getattr(srblocks, name) for name in srblocks.__all__ if name != "__version__"]
    return list(dict.fromkeys(found))


def callables(value: Any) -> Iterator[tuple[Callable[..., object], str]]:
    """Yield a function, or the public methods of a class, each with its documentation."""
    about = inspect.getdoc(value) or ""
    if not inspect.isclass(value):
        yield value, about
        return
    for name, attribute in vars(value).items():
        method = attribute.fget if isinstance(attribute, property) else getattr(attribute, "__func__", attribute)
        written = inspect.isfunction(method) and not method.__code__.co_filename.startswith("<")
        if written and (not name.startswith("_") or name in ("__init__", "__call__")):
            yield method, f"{about}\n{method.__doc__ or ''}"


def raised(function: Callable[..., object]) -> set[str]:
    """Return the exceptions that the code of a function raises and does not catch."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    handlers = [node.type for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.type]
    caught = {name.id for handler in handlers for name in ast.walk(handler) if isinstance(name, ast.Name)}
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)} - caught


def bases(name: str, function: Callable[..., object]) -> set[str]:
    """Return the name of an exception and those of its base classes."""
    kind = getattr(sys.modules[function.__module__], name, None) or getattr(builtins, name)
    return {each.__name__ for each in kind.__mro__} - {"Exception", "BaseException", "object"}


def is_documented(argument: str, about: str) -> bool:
    """Return whether a docstring lists an argument, or mentions it if it lists none."""
    listed = re.search(r"^(Args|Attributes):$", about, re.MULTILINE)
    return bool(re.search(rf"^ +{argument}: " if listed else rf"``{argument}``", about, re.MULTILINE))


def test_stub_lists_its_imports() -> None:
    tree = ast.parse(Path(srblocks.__file__).with_suffix(".pyi").read_text())
    imported = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    listed = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert sorted(listed) == sorted([*imported, "__version__"])
    assert sorted(srblocks.__all__) == sorted(imported)
    assert all(hasattr(srblocks, name) for name in listed)


def test_unknown_names_suggest_similar_ones() -> None:
    for name, hint in (
        ("ResBlock", "ResidualBlock"),
        ("CALayer", "ChannelAttention"),
        ("create_netwrok", "create_network"),
    ):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'; did you mean {hint}"):
            getattr(srblocks, name)
    with pytest.raises(AttributeError, match="no attribute 'qqqq'$"):
        getattr(srblocks, "qqqq")  # noqa: B009


def test_every_public_name_is_documented() -> None:
    assert [value.__qualname__ for value in documented() if len(inspect.getdoc(value) or "") <= 20] == []


def test_every_argument_of_a_public_class_is_documented() -> None:
    undocumented = [
        f"{value.__qualname__}: {name}"
        for value in documented()
        if inspect.isclass(value) and "__init__" in vars(value) and not issubclass(value, Exception)
        for name in inspect.signature(value.__init__).parameters
        if name not in ("self", "args", "kwargs") and not is_documented(name, inspect.getdoc(value) or "")
        if value.__module__ != "srblocks.frameworks" or name not in SHARED_ARGUMENTS
    ]
    assert undocumented == []


def test_args_sections_are_complete() -> None:
    undocumented = [
        f"{function.__qualname__}: {name}"
        for value in documented()
        for function, about in callables(value)
        if re.search(r"^ *Args:$", inspect.getdoc(function) or "", re.MULTILINE)
        for name in inspect.signature(function).parameters
        if name not in ("self", "cls") and not re.search(rf"^ +{name}: ", about, re.MULTILINE)
        if function.__module__ != "srblocks.frameworks" or name not in SHARED_ARGUMENTS
    ]
    assert undocumented == []


def test_every_raised_error_is_documented() -> None:
    undocumented = [
        f"{function.__qualname__}: {name}"
        for value in documented()
        for function, about in callables(value)
        for name in raised(function)
        if not any(f"{each}: " in about or f"{each}, " in about for each in bases(name, function))
    ]
    assert undocumented == []

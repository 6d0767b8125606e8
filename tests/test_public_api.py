"""The public names are a promise: none disappears unnoticed, and each is documented."""

import ast
import builtins
import importlib.util
import inspect
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import srblocks
from helpers.support import facts

RECORDED = facts("public_names.json")
NEEDS = {"srblocks.integrations.hub": "huggingface_hub", "srblocks.integrations.spandrel": "spandrel"}


def documented() -> Iterator[Any]:
    """Every public class and function."""
    for module, names in RECORDED.items():
        if importlib.util.find_spec(NEEDS.get(module, "torch")):
            values = (getattr(importlib.import_module(module), name) for name in names)
            yield from (value for value in values if inspect.isclass(value) or inspect.isfunction(value))


def callables(value: Any) -> Iterator[tuple[Callable[..., object], str]]:
    """A function, or the public methods of a class, each with what documents it."""
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
    """The exceptions that the code of a function raises itself, beside those that it catches again."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    handlers = [node.type for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.type]
    caught = {name.id for handler in handlers for name in ast.walk(handler) if isinstance(name, ast.Name)}
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)} - caught


def bases(name: str, function: Callable[..., object]) -> set[str]:
    """An exception's name, and those of what it is one of."""
    kind = getattr(sys.modules[function.__module__], name, None) or getattr(builtins, name)
    return {each.__name__ for each in kind.__mro__} - {"Exception", "BaseException", "object"}


def said(argument: str, about: str) -> bool:
    """Tell whether a class's docstring lists an argument, or names it in a sentence where it lists none."""
    listed = re.search(r"^(Args|Attributes):$", about, re.MULTILINE)
    return bool(re.search(rf"^ +{argument}: " if listed else rf"``{argument}``", about, re.MULTILINE))


def test_all_is_complete_and_without_duplicates() -> None:
    own = {name for name, value in vars(srblocks).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert set(srblocks.__all__) - {"__version__"} == own
    assert len(set(srblocks.__all__)) == len(srblocks.__all__)


def test_no_public_name_has_disappeared() -> None:
    assert sorted(srblocks.__all__) == RECORDED["srblocks"], "record new names there as well"


@pytest.mark.parametrize("module", RECORDED)
def test_no_public_name_of_a_module_has_disappeared(module: str) -> None:
    pytest.importorskip(NEEDS.get(module, "torch"))
    assert [name for name in RECORDED[module] if not hasattr(importlib.import_module(module), name)] == []


def test_no_name_is_public_in_two_places() -> None:
    names = Counter(name for recorded in RECORDED.values() for name in recorded)
    assert [name for name, count in names.items() if count > 1] == ["register"]  # of rows, and in other registries


def test_every_public_name_is_documented() -> None:
    assert [value.__qualname__ for value in documented() if len(inspect.getdoc(value) or "") <= 20] == []


def test_every_argument_of_a_public_class_is_documented() -> None:
    silent = [
        f"{value.__qualname__}: {name}"
        for value in documented()
        if inspect.isclass(value) and "__init__" in vars(value) and not issubclass(value, Exception)
        for name in inspect.signature(value.__init__).parameters
        if name not in ("self", "args", "kwargs") and not said(name, inspect.getdoc(value) or "")
    ]
    assert silent == []


def test_what_documents_some_arguments_documents_all() -> None:
    silent = [
        f"{function.__qualname__}: {name}"
        for value in documented()
        for function, about in callables(value)
        if re.search(r"^ *Args:$", inspect.getdoc(function) or "", re.MULTILINE)
        for name in inspect.signature(function).parameters
        if name not in ("self", "cls") and not re.search(rf"^ +{name}: ", about, re.MULTILINE)
    ]
    assert silent == []


def test_every_error_that_a_public_name_raises_is_documented() -> None:
    silent = [
        f"{function.__qualname__}: {name}"
        for value in documented()
        for function, about in callables(value)
        for name in raised(function)
        if not any(f"{each}: " in about or f"{each}, " in about for each in bases(name, function))
    ]
    assert silent == []

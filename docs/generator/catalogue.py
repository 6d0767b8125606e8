"""The catalog of blocks, from their docstrings and signatures; every example is run."""

import ast
import contextlib
import doctest
import importlib
import inspect
import io
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import srblocks

RECORD = Path(__file__).parents[2] / "tests" / "data" / "public_names.json"
"""The record of all public names, by the module that they are imported from."""

PACKAGES = ("frameworks", "blocks", "upsampling", "init")
SECTIONS = re.compile(r"^(Args|Shape|Returns|Raises|Example):\n", re.M)


class Entry:
    """One public class or function.

    Attributes:
        name: its own name.
        names: all public names, its own first.
        value: the class or function.
        summary: first sentence of its docstring.
        prose: what the docstring says besides, its source among it.
        sections: title of a section of the docstring -> its text.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self.name = value.__name__
        same = [name for name in srblocks.__all__ if getattr(srblocks, name) is value]
        self.names = sorted(same, key=lambda name: name != self.name)
        head, *parts = SECTIONS.split(inspect.getdoc(value) or "")
        self.summary, _, self.prose = (part.strip() for part in head.partition("\n\n"))
        self.sections = {
            title: textwrap.dedent(text).strip() for title, text in zip(parts[::2], parts[1::2], strict=True)
        }

    @property
    def module(self) -> str:
        """Where it is defined, below srblocks."""
        return self.value.__module__.partition(".")[2]

    @property
    def anchor(self) -> str:
        """Of its heading."""
        return "-".join(self.names).lower()

    def signature(self) -> str:
        """How it is called, as its source says it."""
        function = self.value.__init__ if inspect.isclass(self.value) else self.value
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        assert isinstance(tree, ast.FunctionDef)
        arguments = [text for text in _arguments(tree.args) if text != "self"]
        result = f" -> {ast.unparse(tree.returns)}" if tree.returns and not inspect.isclass(self.value) else ""
        line = f"{self.name}({', '.join(arguments)}){result}"
        return line if len(line) <= 100 else f"{self.name}(\n    " + ",\n    ".join(arguments) + f",\n){result}"

    def shapes(self) -> str:
        """What the example of the docstring took and gave, by running it; nothing where it runs no such module."""
        seen: list[str] = []

        def record(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
            if type(module) is self.value:
                seen.append(f"{_shapes(inputs)} \N{RIGHTWARDS ARROW} {_shapes(output)}")

        names = {**vars(sys.modules[self.value.__module__]), "torch": torch}
        hook = nn.modules.module.register_module_forward_hook(record)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                for example in doctest.DocTestParser().get_examples(self.sections.get("Example", "")):
                    exec(compile(example.source, self.name, "single"), names)
        finally:
            hook.remove()
        return seen[-1] if seen else ""


def entries() -> list[Entry]:
    """Give everything public of the vocabulary, by file and in the order of its source."""
    values = [getattr(srblocks, name) for name in srblocks.__all__]
    callables = {id(value): value for value in values if inspect.isclass(value) or inspect.isfunction(value)}
    found = [Entry(value) for value in callables.values()]
    kept = [entry for entry in found if entry.module.partition(".")[0] in PACKAGES]
    return sorted(
        kept,
        key=lambda entry: (
            PACKAGES.index(entry.module.partition(".")[0]),
            entry.module,
            inspect.getsourcelines(entry.value)[1],
        ),
    )


def catalog(pictures: Mapping[str, str]) -> str:
    """Write the catalog.

    Args:
        pictures: name of a class -> its picture.
    """
    found = entries()
    links = {name: f"[`{name}`](#{entry.anchor})" for entry in found for name in entry.names}
    modules = list(dict.fromkeys(entry.module for entry in found))
    lines = ["| file | name | what it is | the example takes and gives |", "|---|---|---|---|"]
    for module in modules:
        inside = [entry for entry in found if entry.module == module]
        for entry in inside:
            cells = [
                f"`{module}`" * (entry is inside[0]),
                ", ".join(links[name] for name in entry.names),
                _markdown(entry.summary, {}),
                entry.shapes(),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    for module in modules:
        about = inspect.getdoc(sys.modules[f"srblocks.{module}"]) or ""
        lines += ["", f"## srblocks.{module}", "", _markdown(about, links)]
        for entry in found:
            if entry.module == module:
                lines += _written(entry, links, pictures.get(entry.name))
    return "\n".join(lines)


def others() -> str:
    """Write one row for everything else public but the networks, which README lists."""
    lines = ["| name | what it is |", "|---|---|"]
    known = {name for entry in entries() for name in entry.names}
    for name in sorted(srblocks.__all__, key=str.lower):
        value = getattr(srblocks, name)
        module = getattr(value, "__module__", "")
        if name in known or name.startswith("__") or module.startswith("srblocks.networks."):
            continue
        lines.append(f"| `{name}` | {_summary(value) if module else f'`{value!r}`'} |")
    return "\n".join(lines)


def modules() -> str:
    """Write one row for everything public that is imported from a module of its own."""
    lines = ["| module | name | what it is |", "|---|---|---|"]
    for module, names in json.loads(RECORD.read_text()).items():
        if module != "srblocks":
            found = importlib.import_module(module)
            cells = [f"`{module}`", *[""] * (len(names) - 1)]
            for cell, name in zip(cells, names, strict=True):
                lines.append(f"| {cell} | `{name}` | {_summary(getattr(found, name))} |")
    return "\n".join(lines)


def _summary(value: object) -> str:
    return _markdown((inspect.getdoc(value) or "").partition("\n\n")[0], {})


def _written(entry: Entry, links: Mapping[str, str], picture: str | None) -> Iterator[str]:
    others = {name: link for name, link in links.items() if name not in entry.names}
    yield from ("", f"### {', '.join(entry.names)}", "", "```python", entry.signature(), "```", "")
    yield _markdown(entry.summary, others)
    if entry.prose:
        yield from ("", _markdown(entry.prose, others))
    if picture:
        yield from ("", f"![{entry.name}]({picture})")
    if "Shape" in entry.sections:
        yield from ("", f"**Shape:** {_markdown(entry.sections['Shape'], others)}")
    if "Example" in entry.sections:
        yield from ("", "```pycon", entry.sections["Example"], "```")
    if "Args" in entry.sections:
        items = re.sub(r"\n\s+", " ", entry.sections["Args"]).splitlines()
        yield from ("", "<details><summary>Arguments</summary>", "")
        yield from (re.sub(r"^(\w+): ", r"- `\1`: ", _markdown(item, others)) for item in items)
        yield from ("", "</details>")


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    """Give the arguments of a function as a reader would write them."""
    plain = [*arguments.posonlyargs, *arguments.args]
    required: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
    for argument, default in zip(plain, [*required, *arguments.defaults], strict=True):
        yield _argument(argument, default)
    if arguments.vararg or arguments.kwonlyargs:
        yield f"*{arguments.vararg.arg if arguments.vararg else ''}"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(argument, default)
    if arguments.kwarg:
        yield f"**{_argument(arguments.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = argument.arg + (f": {ast.unparse(argument.annotation)}" if argument.annotation else "")
    equals = " = " if argument.annotation else "="
    return text if default is None else f"{text}{equals}{ast.unparse(default)}".replace("'", '"')


def _markdown(text: str, links: Mapping[str, str]) -> str:
    """Join the lines of each paragraph and item, and link the names of other entries."""
    text = re.sub(r"(?<=\S)\n(?!\n|- )\s*", " ", text).replace("``", "`")
    return re.sub(r"`(?:srblocks\.)?(\w+)`", lambda match: links.get(match[1], match[0]), text)


def _shapes(value: object) -> str:
    """Give the shapes of tensors in lists and tuples."""
    if isinstance(value, Tensor):
        return "x".join(map(str, value.shape))
    return ", ".join(map(_shapes, value)) if isinstance(value, (list, tuple)) else type(value).__name__

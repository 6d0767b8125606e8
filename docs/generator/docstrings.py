"""Griffe extension: add the figure of a class to its docstring, and link the names of other members."""

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import griffe

DOCS = Path(__file__).parents[1]
sys.path.insert(0, str(DOCS))
from generator.members import members_of  # noqa: E402

DOCUMENTED = re.compile(r"^<!-- members: ([\w.]+) -->$", re.MULTILINE)


@cache
def targets() -> dict[str, str]:
    """Return the path of every documented member by its name; names that occur twice are left out."""
    found: dict[str, list[str]] = {}
    for page in sorted((DOCS / "api").glob("*.md")):
        for module in DOCUMENTED.findall(page.read_text()):
            for name in members_of(module):
                found.setdefault(name, []).append(f"{module}.{name}")
    return {name: paths[0] for name, paths in found.items() if len(paths) == 1}


def linked(text: str, own: str) -> str:
    """Turn the names of documented members in backquotes into cross-references."""

    def link(match: re.Match[str]) -> str:
        path = targets().get(match[1])
        return match[0] if path is None or match[1] == own else f"[`{match[1]}`][{path}]"

    return re.sub(r"(?<![`\[\w])`(?:srblocks\.)?(\w+)`(?!`)", link, text)


class Figures(griffe.Extension):
    """Rewrite the docstrings of modules, classes and functions for the site."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Add figure and links."""
        if obj.docstring is None:
            return
        text = linked(obj.docstring.value, obj.name)
        if (DOCS / "figures" / f"{obj.name}.svg").is_file() and obj.is_class:
            summary, _, rest = text.partition("\n\n")
            text = f"{summary}\n\n![Data flow of {obj.name}](../figures/{obj.name}.svg)\n\n{rest}"
        obj.docstring.value = text

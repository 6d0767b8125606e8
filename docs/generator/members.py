"""Public members of a module, read from its source."""

import ast
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ROOTS = (REPOSITORY, REPOSITORY / "export")


def source_of(module: str) -> Path:
    """Return the file of a module of the repository.

    Raises:
        FileNotFoundError: there is no such module.
    """
    for root in ROOTS:
        path = root.joinpath(*module.split("."))
        for file in (path / "__init__.pyi", path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    raise FileNotFoundError(f"no module {module}")


def members_of(module: str) -> list[str]:
    """Return the names that a module defines or re-exports publicly, in the order of its source."""
    return list(dict.fromkeys(_members(ast.parse(source_of(module).read_text()))))


def _members(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef)) and not statement.name.startswith("_"):
            yield statement.name
        if isinstance(statement, ast.ImportFrom) and statement.level:
            yield from (alias.name for alias in statement.names if alias.asname == alias.name)

"""Conventions of the repository: file lengths, American spelling, docstring openings, errors, options."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import srblocks
from helpers.support import REPOSITORY
from srblocks_export import cli as export_cli
from srblocks_export.config import ExportConfig
from srblocks_export.formats import FORMATS
from srblocks_export.formats.tensorrt.trt_engine import BuildOptions

LINES = 300
FOLDERS = ("srblocks", "export", "benchmarks", "examples", "docs", "tests")
LONGER = {
    "srblocks/frameworks.py": "the four frameworks side by side on one page",
    "srblocks/checkpoints/layout.py": "the notation of layouts and its checks belong together",
    "export/srblocks_export/config.py": "every option of the command, each with its help",
    "export/srblocks_export/manifest.py": "the typed manifest and its one reader",
    "benchmarks/measure.py": "one measuring loop for all backends",
}
"""Files that may be longer -> reason."""

BRITISH = re.compile(r"(is(e[drs]?|ing|ation|able)|our(s|ed|ing)?|grey\w*|lyse|centre|metre)$")
"""British endings of the words of a name."""
NOT_BRITISH = {
    *("noise", "raise", "raises", "raised", "raising", "raiser", "precise", "concise", "promise", "exercise", "rise"),
    *("advise", "advised", "revise", "disable", "supervised", "otherwise", "likewise", "four", "our", "ours", "your"),
    *("hour", "hours", "pointwise", "depthwise", "stepwise", "elementwise", "pairwise", "channelwise", "blockwise"),
}
STATE_DICT_KEYS = {"normalise", "denormalise"}
"""Submodules whose names are keys of saved checkpoints."""

READS_TEXT_OF = {
    "srblocks/_utils/memory.py": "torch raises RuntimeError when memory is short",
    "srblocks/checkpoints/containers.py": "torch.load raises RuntimeError and UnpicklingError for many reasons",
    "export/srblocks_export/formats/onnx/providers.py": "onnxruntime raises one type for many reasons",
}
"""Files that read the text of other libraries' errors -> reason."""
TEXT_METHODS = {"partition", "rpartition", "split", "removeprefix", "removesuffix", "replace", "startswith", "endswith"}

OPENING = re.compile(r"(Give|Gives|Tell|Tells|Say|Says|What|Which|How)\b")
"""Openings of docstrings that are not a noun phrase or an imperative of the field."""


def test_files_are_short() -> None:
    files = [REPOSITORY / "conftest.py", REPOSITORY / "hubconf.py"]
    files += [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")]
    lengths = {path.relative_to(REPOSITORY).as_posix(): len(path.read_text().splitlines()) for path in files}
    assert len(lengths) > 300
    long = {name: length for name, length in lengths.items() if length > LINES}
    assert {name: length for name, length in long.items() if name not in LONGER} == {}, "split it, or add it to LONGER"
    assert LONGER.keys() <= long.keys(), "shorter now: remove it from LONGER"


def public_names(package: str) -> Iterator[tuple[str, str]]:
    """Yield the public names of the source of a package with their files: definitions, parameters and fields."""
    folder = REPOSITORY / {"srblocks": "srblocks", "srblocks_export": "export/srblocks_export"}[package]
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.append(node.name)
            if isinstance(node, ast.FunctionDef):
                every = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                names += [argument.arg for argument in every]
            elif isinstance(node, (ast.AnnAssign, ast.Assign)):
                targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
                names += [target.id for target in targets if isinstance(target, ast.Name)]
                names += [target.attr for target in targets if isinstance(target, ast.Attribute)]
            yield from ((name, path.relative_to(REPOSITORY).as_posix()) for name in names)


def words(name: str) -> list[str]:
    """Split a name in snake case or camel case into lower-case words.

    Examples:
        >>> words("NormalizedAverage_of_RGB")
        ['normalized', 'average', 'of', 'rgb']
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def is_british(word: str) -> bool:
    return bool(BRITISH.search(word)) and word not in NOT_BRITISH


def test_names_are_spelled_in_american_english() -> None:
    offenders = {
        f"{name} ({path})"
        for package in ("srblocks", "srblocks_export")
        for name, path in public_names(package)
        if name not in STATE_DICT_KEYS and any(map(is_british, words(name)))
    }
    assert offenders == set()


def test_public_signatures_are_spelled_in_american_english() -> None:
    names = {name for name in srblocks.__all__ if name != "__version__"}
    for name in sorted(names):
        names |= inspect.signature(getattr(srblocks, name)).parameters.keys()
    for module in pkgutil.iter_modules(srblocks.__path__):
        names |= set(getattr(importlib.import_module(f"srblocks.{module.name}"), "__all__", ()))
    assert {name for name in names if any(map(is_british, words(name)))} == set()


def test_british_spelling_is_found() -> None:
    assert is_british("normalise") and is_british("colour") and is_british("grey") and is_british("optimisation")
    assert not any(map(is_british, ("noise", "raise", "depthwise", "precise", "color", "normalize", "series", "basis")))


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the names of a file's definitions with their docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield getattr(node, "name", "module"), ast.get_docstring(node) or ""


def test_docstrings_open_with_the_terms_of_the_field() -> None:
    folders = ("srblocks", "export/srblocks_export", "benchmarks", "examples", "docs", "tests/helpers")
    offenders = [
        f"{path.relative_to(REPOSITORY)}: {name}"
        for folder in folders
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for name, text in docstrings(path)
        if OPENING.match(text)
    ]
    assert offenders == []


def reads_of_error_texts(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that take the text of an error apart, search it or compare it."""
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    caught |= {
        node.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.arg)
        and node.annotation
        and re.search(r"(Error|Exception)$", ast.unparse(node.annotation))
    }

    def is_text(node: ast.expr) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr"):
            return any(isinstance(each, ast.Name) and each.id in caught for each in node.args)
        return isinstance(node, ast.Attribute) and node.attr in ("cause", "remedy", "args")

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            searched = node.func.attr in ("search", "match", "fullmatch") and any(map(is_text, node.args))
            if searched or (node.func.attr in TEXT_METHODS and node.args and is_text(node.func.value)):
                yield node.lineno
        if isinstance(node, ast.Compare) and any(map(is_text, [node.left, *node.comparators])):
            yield node.lineno


def test_no_function_reads_the_text_of_an_error() -> None:
    """Errors carry what others need as attributes."""
    found = {
        path.relative_to(REPOSITORY).as_posix(): lines
        for folder in ("srblocks", "export/srblocks_export")
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        if (lines := list(reads_of_error_texts(ast.parse(path.read_text()))))
    }
    assert found.keys() == READS_TEXT_OF.keys(), found


def test_every_option_is_declared_once() -> None:
    """The options of a command are the fields of its option classes, which no other parser repeats."""
    options = [export_cli.ModelOptions, ExportConfig, BuildOptions, export_cli.RunOptions]
    declared = Counter(field.name for each in options for field in dataclasses.fields(each))
    declared.update(name.replace("-", "_") for name in FORMATS)
    assert [name for name, count in declared.items() if count > 1] == []
    command = inspect.signature(export_cli.build_app().default_command)
    assert command.parameters.keys() == declared.keys() - {"formats", "engine"}
    parsers = [
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("srblocks", "export/srblocks_export")
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        if re.search(r"^\s*(import|from) (argparse|click|optparse)\b", path.read_text(), re.MULTILINE)
    ]
    assert {path.rpartition("/")[0] for path in parsers} == {"export/srblocks_export/formats/tensorrt/trt_engine"}

"""Imports are light, and the layers of the packages point one way."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from helpers.support import REPOSITORY

HEAVY = {"timm", "torchvision", "onnx", "onnxruntime", "onnxscript", "tensorrt", "PIL", "rich", "scipy", "skimage"}
HEAVY |= {"spandrel", "huggingface_hub", "mmengine", "ray", "lightning_fabric", "pyvips", "sympy"}
ROOTS = {"srblocks": REPOSITORY / "srblocks", "srblocks_export": REPOSITORY / "export" / "srblocks_export"}
LAYERS = {
    "srblocks": [
        *("errors", "_utils", "losses", "init", "network", "resize", "blocks", "upsampling", "metrics", "color"),
        *("frameworks", "registry", "networks", "checkpoints", "pretrained", "factory", "rewrites", "precision"),
        *("tiling", "adapter", "inference", "evaluate", "integrations"),
    ],
}
"""Modules or subpackages of a package, lowest first; each imports only lower ones."""
UPWARDS = {("network", "rewrites"), ("_utils", "registry")}
"""Imports for annotations only (`TYPE_CHECKING`) that point up: `Network.rewrites` and the spec of `parse_argument`."""


def test_imports_are_light_and_leave_cuda_alone() -> None:
    """In one process: the packages without torch, then networks without anything heavy."""
    code = f"""
import sys, srblocks
print({{"torch", "numpy", "einops"}} & {{*sys.modules}})
import srblocks_export.runtime
print("torch" in sys.modules)
import torch
srblocks.create_network("fsrcnn"); srblocks.optimize, srblocks.load_checkpoint
print({HEAVY!r} & {{*sys.modules}}, torch.cuda.is_initialized())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == ["set()", "False", "set() False"]


@cache
def modules(package: str) -> dict[str, Path]:
    """Map the modules of a package, by their names inside it, to their files; stubs included."""
    folder = ROOTS[package]
    paths = sorted([*folder.rglob("*.py"), *folder.rglob("*.pyi")])
    return {path.relative_to(folder).as_posix().replace("/", "."): path for path in paths}


@cache
def parsed(package: str, module: str) -> ast.Module:
    return ast.parse(modules(package)[module].read_text())


def imported_names(node: ast.AST, parents: list[str]) -> list[str]:
    """Return the absolute names that a statement imports; `parents` are the packages of its module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        start = parents[: len(parents) - node.level + 1] if node.level else []
        origin = ".".join([*start, *([node.module] if node.module else [])])
        return [f"{origin}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        literal = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        if name in ("import_module", "__import__") and isinstance(literal, str):
            dots = len(literal) - len(literal.lstrip("."))
            return [".".join([*parents[: len(parents) - dots + 1], literal[dots:]]) if dots else literal]
    return []


@cache
def imports(package: str, module: str) -> set[str]:
    """Return the absolute names that a module imports, also in functions."""
    parents = [package, *module.split(".")[:-2]]
    return {name for node in ast.walk(parsed(package, module)) for name in imported_names(node, parents)}


@cache
def for_types_only(package: str, module: str) -> set[str]:
    """Return the names that a module imports under ``if TYPE_CHECKING``."""
    parents = [package, *module.split(".")[:-2]]
    tree = parsed(package, module)
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {name for block in blocks for node in ast.walk(block) for name in imported_names(node, parents)}


def inner(package: str, names: set[str]) -> set[str]:
    """Return the first parts, inside a package, of the names that belong to it."""
    return {name.split(".")[1] for name in names if name.startswith(f"{package}.")}


def test_import_scanner_finds_strings_and_functions() -> None:
    code = '__import__("a.b")\ndef f():\n    importlib.import_module("..c", __package__)\n    from . import d'
    found = {name for node in ast.walk(ast.parse(code)) for name in imported_names(node, ["p", "q"])}
    assert found == {"a.b", "p.c", "p.q.d"}


@pytest.mark.parametrize("package", LAYERS)
def test_every_module_has_a_layer(package: str) -> None:
    assert {module.split(".")[0] for module in modules(package)} - {"__init__"} == {*LAYERS[package]}


def test_imports_point_down() -> None:
    upwards: dict[tuple[str, str], set[str]] = {}
    for package, layers in LAYERS.items():
        for module in modules(package):
            own = module.split(".")[0]
            if own == "__init__":  # lazy; its stub lists names of all layers
                continue
            above = layers[layers.index(own) + 1 :]
            runtime = inner(package, imports(package, module) - for_types_only(package, module)) & {*above}
            assert runtime == set(), f"{package}.{module} imports from higher layers"
            for other in inner(package, for_types_only(package, module)) & {*above}:
                upwards.setdefault((own, other), set()).add(module)
    assert upwards.keys() == UPWARDS, upwards


@pytest.mark.parametrize("package", ROOTS)
def test_no_module_imports_itself_through_others(package: str) -> None:
    known = {
        name.removesuffix(".py").removesuffix(".__init__"): name for name in modules(package) if name[-3:] == ".py"
    }

    def dependencies(name: str) -> set[str]:
        found: set[str] = set()
        for target in imports(package, known[name]) - for_types_only(package, known[name]):
            parts = target.removeprefix(f"{package}.") if target.startswith(f"{package}.") else ""
            found |= {candidate for candidate in (parts, parts.rpartition(".")[0]) if candidate in known}
        return found - {name}

    graph = {name: dependencies(name) for name in known}
    for name in graph:  # a package imports its own modules, which may name it
        graph[name] -= {parent for parent in known if name.startswith(f"{parent}.")}
    TopologicalSorter(graph).prepare()


def test_srblocks_never_imports_srblocks_export() -> None:
    offenders = {module for module in modules("srblocks") if "srblocks_export" in _roots(imports("srblocks", module))}
    assert offenders == set()


def _roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}

"""`import srblocks` brings torch and nothing heavier; the layers of the packages point one way."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from helpers.support import REPOSITORY

HEAVY = {"timm", "torchvision", "onnx", "onnxruntime", "onnxscript", "tensorrt", "PIL", "rich", "scipy", "skimage"}
HEAVY |= {"spandrel", "huggingface_hub", "mmengine", "ray", "lightning_fabric"}
ROOTS = {"srblocks": REPOSITORY, "srblocks_export": REPOSITORY / "export", "harness": REPOSITORY / "benchmarks"}
# From the lowest on: modules, or folders of them where no longer name is that of the module.
LAYERS = {
    "srblocks": [
        *("files", "memory", "protocol", "losses", "init", "network", "blocks", "upsampling", "color", "frameworks"),
        *(
            "registry",
            "plugins",
            "arguments",
            "console",
            "networks",
            "checkpoints",
            "pretrained",
            "rewrites",
            "precision",
        ),
        *("tiling", "upscale", "evaluate", "integrations"),
    ],
    "srblocks_export": [
        *("formats.trt_engine", "errors", "console", "shapes", "formats.__init__", "request", "manifest"),
        *("formats", "runtime", "worker", "verify", "report", "precision", "export", "source", "environment"),
        *("command", "cli"),
    ],
}
# Imports within functions or for types alone that point up, from one part to another.
UPWARDS = {
    ("network", "rewrites"),  # the type of what a network says of its rewrites
    ("registry", "checkpoints"),  # UnseenArgumentError, raised when arguments build no network
    ("formats.__init__", "request"),  # types in the signature that every format has
}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.strip()


def test_importing_loads_nothing_heavy_and_leaves_cuda_alone() -> None:
    found = run(
        "import json, sys, srblocks, torch; print(json.dumps([list(sys.modules), torch.cuda.is_initialized()]))"
    )
    modules, cuda = json.loads(found)
    assert HEAVY & {module.partition(".")[0] for module in modules} == set()
    assert not cuda


def test_the_command_line_is_parsed_without_torch() -> None:
    code = (
        "import sys, srblocks_export.cli as cli; cli.build_parser(); print({'torch', 'numpy', 'rich'} & {*sys.modules})"
    )
    assert run(code) == "set()"


def test_running_an_onnx_artifact_needs_no_torch() -> None:
    code = "import sys, srblocks_export.runtime, srblocks_export.formats.onnx; print('torch' in sys.modules)"
    assert run(code) == "False"


def modules(package: str) -> dict[str, Path]:
    """Every module of a package, by its name below it."""
    folder = ROOTS[package] / package
    return {".".join(path.relative_to(folder).with_suffix("").parts): path for path in sorted(folder.rglob("*.py"))}


def imports(package: str, module: str, *, everywhere: bool) -> set[str]:
    """The modules of its package that a module imports: while it is itself imported, or everywhere in it."""
    known = modules(package)
    tree = ast.parse(known[module].read_text())
    names: list[str] = []
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ".".join([package, *module.split(".")][: -node.level]) if node.level else ""
            origin = ".".join(part for part in (start, node.module) if part)
            names += [f"{origin}.{name.name}" for name in node.names]
    inner = [name.removeprefix(f"{package}.") for name in names if name.startswith(f"{package}.")]
    places = [
        (name, f"{name}.__init__", name.rpartition(".")[0], f"{name.rpartition('.')[0]}.__init__") for name in inner
    ]
    return {next(place for place in each if place in known) for each in places if set(each) & known.keys()} - {module}


def layer(package: str, module: str) -> str:
    """The layer of a module: the longest name that fits."""
    return max((name for name in LAYERS[package] if f"{module}.".startswith(f"{name}.")), key=len)


@pytest.mark.parametrize("package", LAYERS)
def test_every_part_of_a_package_has_its_layer(package: str) -> None:
    parts = {module.partition(".")[0] for module in modules(package)} - {"__init__"}
    assert {name.partition(".")[0] for name in LAYERS[package]} == parts


def test_imports_point_down() -> None:
    upwards: set[tuple[str, str]] = set()
    for package, layers in LAYERS.items():
        for module in modules(package).keys() - {"__init__"}:
            own = layer(package, module)
            others = {layer(package, other) for other in imports(package, module, everywhere=True)}
            upwards |= {(own, other) for other in others if layers.index(other) > layers.index(own)}
    assert upwards == UPWARDS


@pytest.mark.parametrize("package", ROOTS)
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    TopologicalSorter({name: imports(package, name, everywhere=False) for name in modules(package)}).prepare()


def test_only_what_opens_artifacts_imports_the_exporter() -> None:
    sources = {path.name: path.read_text() for path in (REPOSITORY / "srblocks").rglob("*.py")}
    assert [name for name, source in sources.items() if "import srblocks_export" in source] == []
    assert [name for name, source in sources.items() if "from srblocks_export" in source] == ["opening.py"]

"""`import srblocks` brings torch and nothing heavier; the layers of the package point one way."""

import ast
import json
import subprocess
import sys

import pytest

from support import REPOSITORY

HEAVY = {"timm", "torchvision", "onnx", "onnxruntime", "onnxscript", "tensorrt", "PIL", "rich", "scipy", "skimage"}
HEAVY |= {"spandrel", "huggingface_hub", "mmengine", "ray", "lightning_fabric"}
LAYERS = ["files", "protocol", "losses", "init", "network", "blocks", "upsampling", "color", "frameworks"]
LAYERS += ["registry", "plugins", "arguments", "console", "networks", "checkpoints", "pretrained", "rewrites"]
LAYERS += ["precision", "memory", "tiling", "upscale", "evaluate", "integrations"]


def test_importing_loads_nothing_heavy_and_leaves_cuda_alone() -> None:
    code = "import json, sys, srblocks, torch; print(json.dumps([list(sys.modules), torch.cuda.is_initialized()]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    modules, cuda = json.loads(found.stdout)
    assert HEAVY & {module.partition(".")[0] for module in modules} == set()
    assert not cuda


def test_the_command_line_is_parsed_without_torch() -> None:
    code = (
        "import sys, srblocks_export.cli as cli; cli.build_parser(); print({'torch', 'numpy', 'rich'} & {*sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "set()"


def test_running_an_onnx_artifact_needs_no_torch() -> None:
    code = "import sys, srblocks_export.runtime, srblocks_export.formats.onnx; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "False"


def imported_parts(source: str) -> set[str]:
    """First component below srblocks of everything that a module imports from the package, at its top level."""
    parts: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            name = node.module or ""
            if node.level == 2 or name.startswith("srblocks."):
                parts.add(name.removeprefix("srblocks.").partition(".")[0])
    return parts


def test_every_part_of_the_package_has_its_layer() -> None:
    parts = {path.stem for path in (REPOSITORY / "srblocks").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {part for part in parts if not part.startswith("_")} == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_down(layer: str) -> None:
    below = set(LAYERS[: LAYERS.index(layer)])
    folder = REPOSITORY / "srblocks" / layer
    files = sorted(folder.glob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    for file in files:
        source = file.read_text()
        parts = imported_parts(source) if folder.is_dir() else imported_parts(source.replace("from .", "from .."))
        assert parts <= below, f"{file.name} imports {sorted(parts - below)} from above"


def test_only_what_opens_artifacts_imports_the_exporter() -> None:
    sources = {path.name: path.read_text() for path in (REPOSITORY / "srblocks").rglob("*.py")}
    assert [name for name, source in sources.items() if "import srblocks_export" in source] == []
    assert [name for name, source in sources.items() if "from srblocks_export" in source] == ["opening.py"]

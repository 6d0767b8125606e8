"""The wheel: what it holds, and that it works alone, away from the repository."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

import srblocks
from helpers.support import REPOSITORY

NO_MODULES = re.compile(
    r"srblocks(_export)?/py\.typed"
    r"|srblocks/\w+/README\.md"
    r"|srblocks/pretrained/\w+_x\d\.safetensors"
    rf"|srblocks-{srblocks.__version__}\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)"
)

MODULES = """
import importlib, json, pkgutil, warnings
warnings.simplefilter("error")
import srblocks, srblocks_export
found = {}
for package in (srblocks, srblocks_export):
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not info.name.endswith("__main__"):
            found[info.name] = importlib.import_module(info.name).__file__
print(json.dumps(found))
"""

USE = """
import pathlib, sys
from importlib.metadata import entry_points, version
import numpy, PIL.Image, srblocks
assert version("srblocks") == srblocks.__version__
scripts = entry_points(group="console_scripts")
commands = {each.name: each.load() for each in scripts if each.name.startswith("srblocks")}
assert sorted(commands) == ["srblocks-evaluate", "srblocks-export", "srblocks-upscale"]
PIL.Image.fromarray(numpy.full((20, 30, 3), 200, numpy.uint8)).save("gray.png")
assert commands["srblocks-export"](["--torchscript", "-q"]) == 0
assert commands["srblocks-upscale"](["gray.png", "-o", "out", "--model", "exported/fsrcnn_x2_fp32_dyn.ts", "-q"]) == 0
assert PIL.Image.open("out/gray.png").size == (60, 40)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(REPOSITORY)
        wheel = build_wheel(str(folder))
    with zipfile.ZipFile(folder / wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, code: str, folder: Path) -> str:
    """Run code in a fresh process in a folder, where the wheel's files come before all others."""
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def test_it_holds_every_module_and_nothing_else_but_weights_and_their_documents(site: Path) -> None:
    held = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    sources = {
        path.relative_to(root).as_posix()
        for root, package in ((REPOSITORY, "srblocks"), (REPOSITORY / "export", "srblocks_export"))
        for path in (root / package).rglob("*.py")
    }
    assert sources <= held
    assert {name for name in held - sources if not NO_MODULES.fullmatch(name)} == set()
    assert sum(name.endswith(".safetensors") for name in held) == len(srblocks.list_pretrained())


def test_every_module_is_imported_from_it_without_a_warning(site: Path, tmp_path: Path) -> None:
    found = json.loads(run(site, MODULES, tmp_path))
    assert len(found) > 100
    assert [name for name, file in found.items() if not Path(file).is_relative_to(site)] == []


def test_its_commands_export_and_enlarge(site: Path, tmp_path: Path) -> None:
    run(site, USE, tmp_path)

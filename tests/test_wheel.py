"""The wheel: its contents, and its use without the repository."""

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

OTHER_FILES = re.compile(
    r"srblocks(_export)?/py\.typed"
    r"|srblocks(_export)?/(\w+/)?__init__\.pyi"
    r"|srblocks/\w+/README\.md"
    r"|srblocks/pretrained/\w+_x\d\.safetensors"
    rf"|srblocks-{srblocks.__version__}\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)"
)

USE = """
import importlib, json, pkgutil, warnings
from importlib.metadata import entry_points, version
found = {}
with warnings.catch_warnings():
    warnings.simplefilter("error")
    import srblocks, srblocks_export
    for package in (srblocks, srblocks_export):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not info.name.endswith("__main__"):
                found[info.name] = importlib.import_module(info.name).__file__
import numpy, PIL.Image
assert version("srblocks") == srblocks.__version__
scripts = entry_points(group="console_scripts")
commands = {each.name: each.load() for each in scripts if each.name.startswith("srblocks")}
assert sorted(commands) == ["srblocks-evaluate", "srblocks-export", "srblocks-upscale"]
PIL.Image.fromarray(numpy.full((20, 30, 3), 200, numpy.uint8)).save("gray.png")
assert commands["srblocks-export"](["--torchscript", "--verify", "off", "-q"]) == 0
assert commands["srblocks-upscale"](["gray.png", "-o", "out", "--model", "exported/fsrcnn_x2_fp32_dyn.ts", "-q"]) == 0
assert PIL.Image.open("out/gray.png").size == (60, 40)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the files of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(REPOSITORY)
        wheel = build_wheel(str(folder))
    with zipfile.ZipFile(folder / wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_wheel_contains_only_modules_weights_and_documents(site: Path) -> None:
    contained = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    sources = {
        path.relative_to(root).as_posix()
        for root, package in ((REPOSITORY, "srblocks"), (REPOSITORY / "export", "srblocks_export"))
        for path in (root / package).rglob("*.py")
    }
    assert sources <= contained
    assert "srblocks/__init__.pyi" in contained
    assert {name for name in contained - sources if not OTHER_FILES.fullmatch(name)} == set()
    assert sum(name.endswith(".safetensors") for name in contained) == len(srblocks.list_pretrained())


def test_modules_import_without_warnings_and_commands_run(site: Path, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (found.returncode, found.stderr) == (0, "")
    files = json.loads(found.stdout)
    assert len(files) > 100
    assert [name for name, file in files.items() if not Path(file).is_relative_to(site)] == []

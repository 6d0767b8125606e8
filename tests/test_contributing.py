"""CONTRIBUTING's recipe for a new network, carried out in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from check import BASELINE, tools
from harness.baseline import Baseline, other_tools
from helpers.support import REPOSITORY

RECIPE = (REPOSITORY / "CONTRIBUTING.md").read_text()
BLOCK = re.compile(
    r"^ *```(?P<language>\w+) ?(?P<file>\S+)?(?: after `(?P<anchor>[^`]*)`)?\n(?P<text>.*?)^ *```$", re.M | re.S
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with the recipe's files and lines in place."""
    folder = tmp_path_factory.mktemp("recipe") / "copy"
    kept = [
        "srblocks",
        "export",
        "tests",
        "benchmarks",
        "docs",
        "conftest.py",
        "pyproject.toml",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ]
    for name in kept:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for block in BLOCK.finditer(RECIPE):
        if block["file"] is None:
            continue
        path = folder / block["file"]
        if block["anchor"] is None:
            assert not path.exists()
            path.write_text(textwrap.dedent(block["text"]))
            continue
        # Lines of a list item stand three columns to the right.
        text = "".join(line[3:] + "\n" for line in block["text"].splitlines())
        lines = path.read_text().splitlines(keepends=True)
        assert lines.count(block["anchor"] + "\n") >= 1, f"{block['file']} has no line {block['anchor']!r}"
        lines.insert(lines.index(block["anchor"] + "\n") + 1, text)
        path.write_text("".join(lines))
    return folder


@pytest.mark.parametrize(
    "whole", [pytest.param(False, id="keys and tests"), pytest.param(True, id="whole", marks=pytest.mark.slow)]
)
def test_a_network_made_by_the_recipe_passes_every_test_of_a_network(copy: Path, whole: bool) -> None:
    commands = [block["text"] for block in BLOCK.finditer(RECIPE) if block["language"] == "sh"]
    lines = [line.strip() for command in commands for line in command.splitlines() if line.strip()]
    assert len(lines) == 4
    if not whole:
        lines = [line for line in lines if "benchmarks" not in line]
    elif other_tools(Baseline.read(BASELINE).versions, tools()):  # whose figures are not added to the baseline's
        lines = [line for line in lines if "--write-baseline" not in line]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONPATH"] = os.pathsep.join([str(copy), str(copy / "export"), str(copy / "tests")])

    def run(line: str) -> str:
        command = line.replace("PYTHONPATH=tests ", "")
        found = subprocess.run(
            command, shell=True, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-2000:]
        return found.stdout

    *recorded, tested = [run(line) for line in lines]
    assert int(re.search(r"(\d+) passed", tested)[1]) > 20
    row = "| `example` | nobody, nowhere | post-upsampling | Y | x2: 18,465 | 7 |"
    assert (row in (copy / "docs/networks.md").read_text()) == whole
    if "--write-baseline" in lines[-2]:
        changes, line = copy / "CHANGELOG.md", re.search(r"^- Benchmark baseline \w{8}: ", recorded[-1], re.M)[0]
        changes.write_text(f"{changes.read_text()}{line}new.\n")
        run("python benchmarks/check.py example")

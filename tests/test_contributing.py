"""The steps of CONTRIBUTING.md for a new network are executed in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from helpers.support import REPOSITORY

BLOCK = re.compile(
    r"^ *```(?P<language>\w+) ?(?P<file>\S+)?(?: after `(?P<anchor>[^`]*)`)?\n(?P<text>.*?)^ *```$", re.M | re.S
)
BLOCKS = list(BLOCK.finditer((REPOSITORY / "CONTRIBUTING.md").read_text()))
COPIED = (
    "srblocks",
    "export",
    "tests",
    "docs",
    "conftest.py",
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "Makefile",
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with the files and lines of the recipe."""
    folder = tmp_path_factory.mktemp("recipe") / "copy"
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name)  # with compiled modules, which stay valid
        else:
            shutil.copy(source, folder / name)
    for block in BLOCKS:
        if block["file"] is None:
            continue
        path = folder / block["file"]
        text = textwrap.dedent(block["text"])
        if block["anchor"] is None:
            assert not path.exists()
            path.write_text(text)
        else:
            lines = path.read_text().splitlines(keepends=True)
            assert f"{block['anchor']}\n" in lines, f"{block['file']} has no line {block['anchor']!r}"
            lines.insert(lines.index(f"{block['anchor']}\n") + 1, text)
            path.write_text("".join(lines))
    return folder


def test_network_added_by_the_recipe_passes_its_tests(copy: Path) -> None:
    record, test = (block["text"].strip() for block in BLOCKS if block["language"] == "sh")
    assert record == "make snapshots"
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONPATH"] = os.pathsep.join([str(copy), str(copy / "export"), str(copy / "tests")])

    def run(command: str) -> str:
        found = subprocess.run(
            command, shell=True, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-2000:]
        return found.stdout

    # Only the new network, in this environment.
    run(f"{record} BIN={bin_folder} DEV= NAMES=Example SNAPSHOTS='-k example'")
    assert (copy / "docs/figures/Example.svg").is_file()
    assert '"parameters": 18465' in (copy / "tests/snapshots/example.json").read_text()
    passed = re.findall(r"^PASSED (tests/[\w/]+\.py)::", run(f"{test} -rp"), re.MULTILINE)
    networks = {f"tests/networks/test_{name}.py" for name in ("contract", "snapshots", "receptive_radius")}
    assert {*networks, "tests/export/test_formats.py"} <= {*passed}
    assert any(name.startswith("tests/properties/") for name in passed)

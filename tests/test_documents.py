"""What readers see: the README's code runs, its commands parse, its tables are those that the scripts print."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import set5
import tables
from srblocks_export.cli import build_parser
from srblocks_export.formats import FORMATS
from support import README, REPOSITORY, generated


@pytest.mark.parametrize("name", tables.TABLES)
def test_generated_tables_are_current(name: str) -> None:
    table, document = tables.TABLES[name]
    assert generated(name, (REPOSITORY / document).read_text()) == table()


def test_the_table_of_set5_is_current(data: Path) -> None:
    table = set5.markdown(set5.measure(data / "images" / "Set5"))
    assert generated("set5") == table
    assert generated("set5", (REPOSITORY / "srblocks/pretrained/README.md").read_text()) == table


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from srblocks_export.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["--quiet"]) == 0
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    assert tuple(names["sr"].shape) == (1, 1, 240, 320)
    assert tuple(names["enlarged"].shape) == (1, 3, 240, 320)
    assert names["own"].config["scale"] == 4


def test_the_example_of_the_rewrites_does_what_it_says() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "srblocks/rewrites/README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    quick, kept, tiny = (names[name] for name in ("quick", "kept", "tiny"))
    assert [net.min_size for net in (quick, kept, tiny)] == [4, 1, 1]
    assert "tail_collapse" in str(quick.rewrites)
    assert "tail_collapse" not in str(kept.rewrites)


def test_commands_parse_and_name_what_exists() -> None:
    commands = [line.partition("#")[0] for line in README.splitlines() if line.startswith("srblocks-export")]
    assert len(commands) >= 4
    for command in commands:
        args = build_parser().parse_args(shlex.split(command)[1:])
        assert args.model in (None, "edsr_baseline", "vdsr", "carn_m.pth")
    for target in re.findall(r"^make ([\w-]+)", README, re.MULTILINE):
        assert f"\n{target}:" in (REPOSITORY / "Makefile").read_text()
    for script in re.findall(r"(?:examples|benchmarks)/\w+\.py", README):
        assert (REPOSITORY / script).is_file()


@pytest.mark.parametrize("script", ["new_network_from_blocks.py", "demo.py"])
def test_examples_run(script: str, tmp_path: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "examples" / script)]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert found.returncode == 0, found.stderr
    if script == "demo.py":
        gains = [float(gain) for gain in re.findall(r"dB +\+(\d+\.\d+)", found.stdout)]
        assert len(gains) == sum(not row.missing() for row in FORMATS.values())
        assert min(gains) > 2
        assert (tmp_path / "demo-output" / "before-after.png").stat().st_size > 10_000

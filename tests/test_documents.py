"""What readers see: code runs, commands parse, links lead somewhere, tables are those that the scripts print."""

import os
import re
import runpy
import shlex
from pathlib import Path

import pytest

import set5
import tables
from helpers.support import README, REPOSITORY, generated
from srblocks import list_networks
from srblocks.inference import cli as upscale
from srblocks_export.cli import build_parser
from srblocks_export.formats import FORMATS

FOLDERS = ("", "docs", "export", "benchmarks", "srblocks/*")
DOCUMENTS = sorted(path for folder in FOLDERS for path in REPOSITORY.glob(f"{folder}/*.md".lstrip("/")))


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


def calls(command: str, document: Path) -> list[str]:
    """The lines of a document that call a command, without their remarks."""
    lines = document.read_text().replace("\\\n", "").splitlines()
    return [line.partition("#")[0] for line in lines if line.startswith(f"{command} ")]


def test_commands_parse_and_name_what_exists() -> None:
    upscaling = [line for document in DOCUMENTS for line in calls("srblocks-upscale", document)]
    assert len(upscaling) > 4
    for command in upscaling:
        assert upscale.build_parser().parse_args(shlex.split(command)[1:]).inputs, command
    exporting = [line for document in DOCUMENTS for line in calls("srblocks-export", document)]
    assert len(exporting) > 20
    for command in exporting:
        model = build_parser().parse_args(shlex.split(command)[1:]).model
        assert model in (None, *list_networks()) or Path(model).suffix in (".pth", ".safetensors"), command
    for target in re.findall(r"^make ([\w-]+)", README, re.MULTILINE):
        assert f"\n{target}:" in (REPOSITORY / "Makefile").read_text()
    for document in DOCUMENTS:
        for script in re.findall(r"(?:examples|benchmarks|docs)/\w+\.py", document.read_text()):
            assert (REPOSITORY / script).is_file(), f"{document.name} names {script}"


def anchors(document: Path) -> set[str]:
    """What a link into a document can name: its headings, as GitHub writes them."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document: Path) -> None:
    prose = re.sub(r"^ *```.*?^ *```$|`[^`\n]+`", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^()\s]+)\)", prose):
        path, _, anchor = link.partition("#")
        if path.startswith(("https://", "http://")):
            continue
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_every_document_can_be_reached_from_the_readme() -> None:
    """By links, so that none is forgotten."""
    found, ahead = set(), [REPOSITORY / "README.md"]
    while ahead:
        document = ahead.pop()
        if document in found or not document.is_file():
            continue
        found.add(document)
        links = re.findall(r"\]\(([^()\s#]+\.md)[)#]", document.read_text())
        ahead += [(document.parent / link).resolve() for link in links if not link.startswith("http")]
    assert set(DOCUMENTS) - found <= {REPOSITORY / "CHANGELOG.md"}


def example(script: str) -> int:
    """Run an example, and give its exit code."""
    try:
        runpy.run_path(str(REPOSITORY / "examples" / script), run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.usefixtures("one_verifier")
def test_a_network_from_blocks_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    assert example("new_network_from_blocks.py") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": verified")[0] for line in lines] == ["own.onnx", "own.ts", "own.pt2"]


@pytest.mark.parametrize(
    "path",
    [pytest.param("", id="without a compiler"), pytest.param(os.environ["PATH"], id="whole", marks=pytest.mark.slow)],
)
def test_the_demo_enlarges_with_every_artifact_that_can_be_built(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path)
    assert example("demo.py") == 0
    out = capsys.readouterr().out
    for name, row in FORMATS.items():
        assert bool(row.missing()) == (f"{name} cannot be built here: " in out)
    gains = [float(gain) for gain in re.findall(r"dB +\+(\d+\.\d+)", out)]
    assert len(gains) == sum(not row.missing() for row in FORMATS.values())
    assert min(gains) > 2
    assert (tmp_path / "demo-output" / "before-after.png").stat().st_size > 10_000

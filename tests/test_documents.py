"""README and other documents: code runs, commands parse, links resolve, tables are current."""

import dataclasses
import re
import runpy
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import set5
import srblocks
import tables
from helpers.snapshots import recorded
from helpers.support import README, REPOSITORY, generated
from srblocks import list_networks
from srblocks._utils.cli import parse
from srblocks.inference import cli as upscale
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec
from srblocks_export import export
from srblocks_export.cli import build_app
from srblocks_export.config import ExportConfig
from srblocks_export.formats import FORMATS
from srblocks_export.formats.base import Format, Missing
from srblocks_export.report import ArtifactReport

FOLDERS = ("", "docs/", "docs/api/", "export/", "benchmarks/", "srblocks/*/")
DOCUMENTS = sorted(path for folder in FOLDERS for path in REPOSITORY.glob(f"{folder}*.md"))
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PROJECT = (REPOSITORY / "pyproject.toml").read_text()
HOME = re.findall(r'^Homepage = "(.+)"$', PROJECT, re.MULTILINE)[0] + "/blob/main/"


def narrow(spec: NetworkSpec) -> NetworkSpec:
    """Return a network specification with less width, to which the same rewrites apply."""
    width = spec.arguments().get("width")
    is_wide = isinstance(width, int) and width > 64
    return dataclasses.replace(spec, reduced={**spec.reduced, "width": 16}) if is_wide else spec


def test_generated_tables_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    count = partial(recorded, figure="parameters")  # faster than building the networks
    assert tables.parameter_count("fsrcnn", 2) == count("fsrcnn", 2)
    monkeypatch.setattr(tables, "parameter_count", count)
    monkeypatch.setattr(tables, "network_specs", lambda: [narrow(spec) for spec in network_specs()])
    rendered: dict[str, str] = {}
    for path in tables.documents():
        text = path.read_text()
        assert tables.updated(text, rendered) == text, f"{path.name}: run benchmarks/tables.py --write"
    assert len(rendered) > 8


def test_set5_table_is_current(data: Path) -> None:
    table = set5.markdown(set5.measure(data / "images" / "Set5"))
    for document in ("docs/networks.md", "srblocks/pretrained/README.md"):
        assert generated("set5", (REPOSITORY / document).read_text()) == table


def test_python_blocks_run_independently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for document in ("README.md", "docs/index.md", "docs/networks.md", "docs/optimize.md"):
        blocks = BLOCK.findall((REPOSITORY / document).read_text())
        assert blocks
        for block in blocks:
            names = {}
            exec(compile(block, document, "exec"), names)
            if document == "README.md" and "sr" in names:
                assert names["sr"].shape[2:] in {(240, 320), (96, 128)}
            for choice in re.findall(r"block=(\w+)(?=[,.])", block.partition("#")[2].partition("\n")[0]):
                exec(
                    compile(block.replace("block=RCAB", f"block=srblocks.{choice}"), document, "exec"),
                    {"srblocks": srblocks},
                )


def commands(name: str) -> list[list[str]]:
    """Return the arguments of all calls of a command in the documents."""
    lines = [line for document in DOCUMENTS for line in document.read_text().replace("\\\n", "").splitlines()]
    return [shlex.split(line.partition("#")[0])[1:] for line in lines if line.startswith(f"{name} ")]


def test_commands_parse_and_named_files_exist() -> None:
    upscaling, exporting = commands("srblocks-upscale"), commands("srblocks-export")
    assert len(upscaling) > 4
    assert len(exporting) > 15
    for arguments in upscaling:
        assert parse(upscale.APP, arguments), arguments
    for arguments in exporting:
        options = parse(build_app(), arguments)
        assert options is not None, arguments
        model = options.get("model")
        assert model in (None, *list_networks()) or Path(model).suffix in (".pth", ".safetensors"), arguments
    for target in re.findall(r"(?:^|`)make ([a-z][\w-]+)", README, re.MULTILINE):
        assert f"\n{target}:" in (REPOSITORY / "Makefile").read_text()
    for document in set(DOCUMENTS) - {REPOSITORY / "CHANGELOG.md"}:
        for script in re.findall(r"(?:examples|benchmarks|docs)(?:/\w+)*/\w+\.py", document.read_text()):
            assert (REPOSITORY / script).is_file(), f"{document.name} names {script}"


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub derives them."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: Path) -> list[tuple[Path, str]]:
    """Return the files of the repository to which a document links, with the anchors."""
    prose = re.sub(r"^ *```.*?^ *```$|`[^`\n]+`", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = []
    for link in re.findall(r"\]\(([^()\s]+)\)", prose):
        path, _, anchor = link.partition("#")
        if path.startswith(HOME):
            found.append((REPOSITORY / path.removeprefix(HOME), anchor))
        elif not path.startswith(("https://", "http://")):
            found.append(((document.parent / path).resolve() if path else document, anchor))
    return found


def test_links_resolve_and_all_documents_are_linked_from_the_readme() -> None:
    for document in DOCUMENTS:
        for target, anchor in links(document):
            assert target.exists(), f"{document.name} links to {target}"
            assert not anchor or anchor in anchors(target), f"{document.name}: {target.name} has no heading {anchor}"
    found, ahead = set(), [REPOSITORY / "README.md"]
    while ahead:
        document = ahead.pop()
        if document not in found:
            found.add(document)
            ahead += [target for target, _ in links(document) if target.suffix == ".md"]
    assert set(DOCUMENTS) - found - set((REPOSITORY / "docs" / "api").iterdir()) <= {REPOSITORY / "CHANGELOG.md"}


def test_readme_is_short_and_self_contained() -> None:
    assert len(README.splitlines()) <= 125
    assert not re.search(r"\]\((?!https://)", README)
    raw = HOME.replace("github.com", "raw.githubusercontent.com").replace("/blob/", "/")
    (image,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert (REPOSITORY / image.removeprefix(raw)).is_file()
    floor = re.findall(r'^  "torch>=([\d.]+)",$', PROJECT, re.MULTILINE)
    assert f"torch >= {floor[0]}" in README


def example(script: str) -> int:
    """Run an example; return its exit code."""
    try:
        runpy.run_path(str(REPOSITORY / "examples" / script), run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize(
    "formats", [("torchscript",), pytest.param(("onnx", "torchscript", "pt2"), marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("one_verifier")
def test_network_from_blocks_is_exported(
    formats: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = export.export_network

    def export_network(net: Network, config: ExportConfig) -> list[ArtifactReport]:
        assert config.formats == ("onnx", "torchscript", "pt2")
        return original(net, dataclasses.replace(config, formats=formats))

    monkeypatch.setattr(export, "export_network", export_network)
    assert example("new_network_from_blocks.py") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": verified")[0] for line in lines] == [f"own{FORMATS[name].suffix}" for name in formats]


@pytest.mark.parametrize("only", ["torchscript", pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("one_verifier")
def test_demo_upscales_with_every_available_format(
    only: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = Format.missing

    def missing(row: Format, **options: Any) -> Missing | None:
        return original(row, **options) if only in (None, row.name) else Missing(401, "not installed", "install it")

    monkeypatch.setattr(Format, "missing", missing)
    monkeypatch.chdir(tmp_path)
    assert example("demo.py") == 0
    out = capsys.readouterr().out
    available = [name for name, row in FORMATS.items() if not row.missing()]
    for name in FORMATS:
        assert (name in available) != (f"{name} cannot be built here: " in out), name
    gains = [float(gain) for gain in re.findall(r"dB +\+(\d+\.\d+)", out)]
    assert len(gains) == len(available)
    assert min(gains) > 2
    assert (tmp_path / "demo-output" / "before-after.png").stat().st_size > 10_000

"""The documentation: figures are current, pages cover every public name, and guides run."""

import importlib
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import srblocks
import srblocks.blocks
import srblocks.frameworks
import srblocks.upsampling
from helpers.support import REPOSITORY, needs_torch_export
from srblocks import InterpolateUp, PreUpsampling, conv
from srblocks.networks import network_specs
from srblocks_export import cli

DOCS = REPOSITORY / "docs"
FENCE = re.compile(r"^```(sh|python|text)( slow)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SVG = "{http://www.w3.org/2000/svg}"
UNPUBLISHED = {"Rescale", "Patches", "InterpolateUp"}
"""Blocks without a publication."""


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("generator.__main__")


def public_modules(package: ModuleType) -> dict[str, type[nn.Module]]:
    """Return the public torch modules of a package by name."""
    values = [value for name, value in vars(package).items() if not name.startswith("_") and inspect.isclass(value)]
    own = [value for value in values if f"{value.__module__}.".startswith(f"{package.__name__}.")]
    modules = [value for value in own if issubclass(value, nn.Module) and value.forward is not nn.Module.forward]
    return {value.__name__: value for value in modules}


def blocks() -> dict[str, type[nn.Module]]:
    packages = (srblocks.blocks, srblocks.upsampling, srblocks.frameworks)
    return {name: value for package in packages for name, value in public_modules(package).items()}


def labels(svg: str) -> list[str]:
    texts = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return [text.text or "" for text in texts if text.get("class") is None]


def test_figures_of_all_blocks_and_networks_are_current(generator: ModuleType) -> None:
    names = set(generator.figures())
    assert {*blocks(), *(spec.constructor[0].__name__ for spec in network_specs())} <= names
    assert {path.stem for path in (DOCS / "figures").iterdir()} == names, "run make figures"
    stale = [name for name in names if (DOCS / "figures" / f"{name}.svg").read_text() != generator.draw(name)]
    assert stale == [], "run make figures"
    for name in names:
        title = ElementTree.parse(DOCS / "figures" / f"{name}.svg").getroot().find(f"{SVG}title")
        assert title is not None
        assert (title.text or "").startswith(name)


def test_figures_show_the_operations(generator: ModuleType) -> None:
    drawn = {path.stem: labels(path.read_text()) for path in (DOCS / "figures").iterdir()}
    conv3, conv1 = (f"conv {k}\N{MULTIPLICATION SIGN}{k}" for k in (3, 1))
    gate = ["mean", conv1, "ReLU", conv1, "sigmoid", "\N{MULTIPLICATION SIGN}"]
    assert drawn["RCAB"] == ["x", conv3, "ReLU", conv3, *gate, "+", "y"]
    assert "ResidualBlock  \N{MULTIPLICATION SIGN}16" in drawn["EDSR"]
    assert [drawn["DRN"].count(name) for name in ("lr", "PixelShuffleUp", "c")] == [1, 2, 2]
    nodes, drawing = (importlib.import_module(f"generator.{name}") for name in ("nodes", "drawing"))
    for skip in (True, False):
        slots = {"upsampler": InterpolateUp(1, 3), "head": conv(1, 4), "body": nn.ReLU(), "tail": conv(4, 1)}
        net = PreUpsampling(scale=3, image_channels=1, image_skip=skip, **slots)
        svg = drawing.Sheet(nodes.Figure(net, (torch.zeros(1, 1, 4, 4),))).svg("a < b")
        assert labels(svg) == ["lr", "InterpolateUp", conv3, "ReLU", conv3, *["+"] * skip, "sr"]
        assert "4\N{MULTIPLICATION SIGN}3H\N{MULTIPLICATION SIGN}3W" in svg
        assert "<title>a &lt; b</title>" in svg


def test_command_writes_and_removes_figures(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "FIGURES", tmp_path)
    (tmp_path / "Gone.svg").touch()
    assert generator.main(["RCAB"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["RCAB.svg"]
    assert (tmp_path / "RCAB.svg").read_text() == (DOCS / "figures" / "RCAB.svg").read_text()


def test_api_pages_cover_every_public_name_and_concepts_link_to_them(generator: ModuleType) -> None:
    members = importlib.import_module("generator.members")
    pages = "\n".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    modules = re.findall(r"^<!-- members: ([\w.]+) -->$", pages, re.MULTILINE)
    shown = {f"{module}.{name}" for module in modules for name in members.members_of(module)}
    assert set(srblocks.__all__) - {"__version__"} <= {path.rpartition(".")[2] for path in shown}
    for path in shown:
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name)
    targets = set(re.findall(r"\]\[(srblocks[\w.]*)\]", (DOCS / "concepts.md").read_text()))
    assert len(targets) > 50
    assert targets <= shown


def test_pages_are_expanded_and_links_leave_docs_as_urls(generator: ModuleType) -> None:
    hooks = importlib.import_module("generator.hooks")
    page = SimpleNamespace(file=SimpleNamespace(src_uri="api/losses.md"))
    config = SimpleNamespace(repo_url="https://host/repo")
    text = hooks.on_page_markdown(
        "[a](../../README.md) [b](../x.md)\n<!-- members: srblocks.losses -->\n", page, config
    )
    assert "[a](https://host/repo/blob/main/README.md) [b](../x.md)" in text
    assert "::: srblocks.losses\n    options:\n      members: false\n" in text
    assert "::: srblocks.losses.CharbonnierLoss\n" in text
    docstrings = importlib.import_module("generator.docstrings")
    assert (
        docstrings.linked("see `RCAB`, `x` and ``RCAB``", "conv")
        == "see [`RCAB`][srblocks.blocks.RCAB], `x` and ``RCAB``"
    )


def test_blocks_document_shapes_examples_and_sources() -> None:
    assert len(blocks()) > 35
    for name, value in blocks().items():
        text = inspect.getdoc(value) or ""
        assert re.search(r"^Shape:\n", text, re.MULTILINE), name
        example = re.search(r"^Examples:\n(.*)", text, re.MULTILINE | re.DOTALL)
        assert example, name
        assert re.search(rf"\b{name.replace('ResidualDenseBlock', 'RDB')}\b", example[1]), name
        assert bool(re.search(r"\b(19|20)\d\d\b", text)) != (name in UNPUBLISHED), f"{name}: missing or unexpected year"


def test_comparison_image_is_current(generator: ModuleType, data: Path) -> None:
    comparison = importlib.import_module("generator.comparison")
    made = np.asarray(comparison.comparison(data / "weights" / "carn_m.pth"), np.float64)
    shown = np.asarray(Image.open(DOCS / "comparison.png"), np.float64)
    assert shown.shape == made.shape
    above = len(made) - comparison.CAPTION  # captions differ between versions of Pillow
    assert np.abs(shown[:above] - made[:above]).max() <= 2


def words(screen: str) -> str:
    """Return an output without numbers, which vary."""
    return " ".join(re.sub(r"\d+(\.\d+)?(e-\d+)?", "#", screen).split())


@needs_torch_export
@pytest.mark.usefixtures("one_verifier")
@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_export_guide_runs(
    slow: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    shown = ""
    for language, late, text in FENCE.findall((DOCS / "export.md").read_text()):
        if late and not slow:
            continue
        if language == "python":
            exec(compile(text, "export.md", "exec"), names)
        elif language == "text":
            assert words(shown) == words(text)
        else:
            capsys.readouterr()
            for line in text.splitlines():
                command, _, comment = line.partition("#")
                code = re.search(r"exit code (\d+)", comment)
                assert cli.main(shlex.split(command)[1:]) == int(code[1] if code else 0), line
            shown = capsys.readouterr().out
    assert tuple(names["sr"].shape) == (1, 1, 240, 320)
    by_others = [name for name in names if name.startswith("by_")]
    assert len(by_others) == (5 if slow else 4)
    for name in by_others:
        np.testing.assert_allclose(np.asarray(names[name]), names["sr"].numpy(), atol=2e-4, err_msg=name)


def test_export_guide_lists_all_exit_codes() -> None:
    listed = " ".join(cli.EPILOG.split())
    table = re.findall(r"^\| (\d+) \| ([^|]+) \|", (DOCS / "export.md").read_text(), re.MULTILINE)
    assert {code for code, _ in table} == set(re.findall(r"\b(\d+) [a-z]", listed))
    for code, meaning in table:
        assert f" {code} {meaning}" in listed


def python_of(guide: str) -> list[str]:
    return [text for language, _, text in FENCE.findall((DOCS / guide).read_text()) if language == "python"]


def check_output(code: str, output: str) -> None:
    """Check that every print shows the start of the comment that follows it."""
    expected = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    lines = output.splitlines()
    assert len(expected) == len(lines) > 0
    for line, comment in zip(lines, expected, strict=True):
        assert comment.startswith(line)


def test_python_of_the_integrations_guide_runs(tmp_path: Path) -> None:
    """In a separate process, because integrations register networks in other libraries."""
    for module in ("spandrel", "timm", "mmengine"):
        pytest.importorskip(module)
    fences = python_of("integrations.md")
    assert len(fences) >= 7
    code = "\n".join(fences).replace("path/to/srblocks", REPOSITORY.as_posix())
    (tmp_path / "guide.py").write_text(code)
    found = subprocess.run(
        [sys.executable, "guide.py"],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    check_output(code, found.stdout)


def test_python_of_the_upscaling_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    fences = python_of("upscaling.md")
    assert len(fences) >= 2
    code = "\n".join(fences)
    exec(compile(code, "upscaling.md", "exec"), {})
    check_output(code, capsys.readouterr().out)

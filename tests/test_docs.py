"""docs/: what is generated is current, every public name is there once, pictures show what runs, the guide runs."""

import importlib
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import srblocks
from helpers.support import REPOSITORY
from srblocks import InterpolateUp, PreUpsampling, conv
from srblocks_export import cli

DOCS = REPOSITORY / "docs"
FENCE = re.compile(r"^```(sh|python|text)( slow)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITHOUT_SOURCE = {"Rescale", "Patches", "InterpolateUp"}
"""Blocks that nobody published."""


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("generate")


@pytest.fixture
def catalog(generate: ModuleType) -> ModuleType:
    return importlib.import_module("generator.catalog")


def test_what_is_generated_is_current(generate: ModuleType) -> None:
    stale = [path.name for path, text in generate.generated().items() if path.read_text() != text]
    assert stale == [], "run python docs/generate.py"
    pictures = {path for path in generate.generated() if path.suffix == ".svg"}
    assert set(DOCS.rglob("*.svg")) == pictures, "remove pictures that are drawn no more"


def test_the_command_finds_and_writes_what_is_stale(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "docs"
    shutil.copytree(DOCS, copy)
    monkeypatch.setattr(generate, "DOCS", copy)
    assert generate.main(["--check"]) == 0
    (copy / "frameworks/PreUpsampling.svg").unlink()
    (copy / "blocks.md").write_text(
        (copy / "blocks.md").read_text().replace("reduction: int = 16", "reduction: int = 8")
    )
    assert generate.main(["--check"]) == 1
    assert set(capsys.readouterr().out.split()) == {"docs/frameworks/PreUpsampling.svg", "docs/blocks.md"}
    assert generate.main([]) == 0
    assert (copy / "blocks.md").read_text() == (DOCS / "blocks.md").read_text()
    assert generate.main(["--check"]) == 0


def test_every_public_name_stands_in_one_place() -> None:
    headings = re.findall(r"^### (.+)$", (DOCS / "blocks.md").read_text(), re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "README.md").read_text(), re.MULTILINE)
    networks = {name for name in srblocks.__all__ if getattr(srblocks, name).__class__ is type}
    networks = {name for name in networks if getattr(srblocks, name).__module__.startswith("srblocks.networks.")}
    found = [*(name for heading in headings for name in heading.split(", ")), *rows]
    assert sorted(found) == sorted(set(srblocks.__all__) - networks - {"__version__"})


def test_every_block_says_its_shapes_runs_in_its_example_and_names_its_source(catalog: ModuleType) -> None:
    blocks = [entry for entry in catalog.entries() if inspect.isclass(entry.value)]
    assert len(blocks) > 35
    for entry in blocks:
        assert "\N{RIGHTWARDS ARROW}" in entry.shapes(), f"{entry.name}: the example runs no {entry.name}"
        assert {"Shape", "Example"} <= set(entry.sections), entry.name
        cited = re.search(r"\b(19|20)\d\d\b", entry.prose)
        assert bool(cited) != (entry.name in WITHOUT_SOURCE), f"{entry.name}: whose idea is it?"


def test_signatures_are_those_of_the_source(catalog: ModuleType) -> None:
    signatures = {entry.name: entry.signature() for entry in catalog.entries()}
    assert signatures["ChannelAttention"] == "ChannelAttention(channels: int, *, reduction: int = 16)"
    assert signatures["timm_attention"].endswith("(name: str, **arguments: object) -> Callable[[int], nn.Module]")
    for entry in catalog.entries():
        named = re.findall(r"(?:^|[(\s])\*{0,2}(\w+)(?=[:=])", signatures[entry.name])
        parameters = [name for name in inspect.signature(entry.value).parameters if name != "self"]
        assert named == parameters, entry.name


def labels(svg: str) -> list[str]:
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [text.text or "" for text in texts if text.get("class") is None]


def test_pictures_show_what_runs(generate: ModuleType) -> None:
    drawn = {path.stem: labels(path.read_text()) for path in DOCS.rglob("*.svg")}
    assert drawn["PostUpsampling"] == ["lr", "head", "body", "+", "upsampler", "tail", "image_skip", "+", "sr"]
    assert drawn["RCAB"] == ["x", "conv1", "act", "conv2", "attention", "+", "y"]
    assert drawn["DownProjection"] == ["x", "down1", "up", "\N{MINUS SIGN}", "down2", "+", "y"]
    for skip in (True, False):
        net = PreUpsampling(
            scale=3,
            image_channels=1,
            upsampler=InterpolateUp(1, 3),
            head=conv(1, 4),
            body=nn.Sequential(conv(4, 4)),
            tail=conv(4, 1),
            image_skip=skip,
        )
        svg = generate.Sheet(importlib.import_module("generator.tracing").ImageData(net, (torch.zeros(1, 1, 4, 5),)))
        text = svg.svg("a < b")
        assert labels(text) == ["lr", "upsampler", "head", "body", "tail", *["+"] * skip, "sr"]
        assert "4\N{MULTIPLICATION SIGN}3H\N{MULTIPLICATION SIGN}3W" in text
        assert "<title>a &lt; b</title>" in text


def test_the_comparison_is_what_its_command_makes(generate: ModuleType) -> None:
    path = DOCS / "comparison.png"
    assert path.stat().st_size < 150_000
    shown, made = (np.asarray(image, np.float64) for image in (Image.open(path), generate.comparison()))
    below = importlib.import_module("generator.comparison").TITLE  # the font differs from one Pillow to the next
    assert shown.shape == made.shape
    assert np.abs(shown[below:] - made[below:]).max() <= 1


def words(screen: str) -> str:
    """A screen without what differs from run to run and from machine to machine."""
    return " ".join(re.sub(r"\d+(\.\d+)?(e-\d+)?", "#", screen).split())


@pytest.mark.usefixtures("one_verifier")
@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_export_guide_runs(
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
                command, _, remark = line.partition("#")
                code = re.search(r"exit code (\d+)", remark)
                assert cli.main(shlex.split(command)[1:]) == int(code[1] if code else 0), line
            shown = capsys.readouterr().out
    assert tuple(names["sr"].shape) == (1, 1, 240, 320)
    by_others = [name for name in names if name.startswith("by_")]
    assert len(by_others) == (5 if slow else 4)
    for name in by_others:
        np.testing.assert_allclose(np.asarray(names[name]), names["sr"].numpy(), atol=2e-4, err_msg=name)


def test_the_export_guide_knows_every_exit_code() -> None:
    told = " ".join(cli.EPILOG.split())
    table = re.findall(r"^\| (\d+) \| ([^|]+) \|", (DOCS / "export.md").read_text(), re.MULTILINE)
    assert {code for code, _ in table} == set(re.findall(r"\b(\d+) [a-z]", told))
    for code, meaning in table:
        assert f" {code} {meaning}" in told


@pytest.mark.parametrize(
    "name,fewest,modules", [("hosts.md", 7, ["spandrel", "timm", "mmengine"]), ("upscaling.md", 2, [])]
)
def test_the_python_of_other_guides_runs(name: str, fewest: int, modules: list[str], tmp_path: Path) -> None:
    for module in modules:
        pytest.importorskip(module)
    fences = [text for language, _, text in FENCE.findall((DOCS / name).read_text()) if language == "python"]
    assert len(fences) >= fewest
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
    told = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    shown = found.stdout.splitlines()
    assert len(told) == len(shown) > 0
    for line, remark in zip(shown, told, strict=True):
        assert remark.startswith(line)

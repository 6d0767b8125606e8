"""Machine-independent figures, compared with hand counts and with the committed ones."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import figures
from record import Record
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks.registry import NetworkSpec, SizeRequirements


class Tiny(Network):
    """One convolution and a pixel shuffle."""

    def __init__(self, *, scale: int = 2, width: int = 4, size_multiple: int = 1) -> None:
        super().__init__(scale=scale, image_channels=1, size_multiple=size_multiple)
        self.tail = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, lr: Tensor) -> Tensor:
        return self.tail(lr)


TINY = NetworkSpec(name="tiny", build=Tiny, paper="none", size_requirements={2: SizeRequirements(radius=1)})


def test_figures_match_hand_counts() -> None:
    pixels = 48 * 72
    assert figures.original_figures(TINY, 2) == {
        "parameters x2": 4 * 9 + 4,
        "MACs x2": 4 * 9 * pixels,
        "peak bytes x2": 4 * pixels * (1 + 4 + 4),  # input, convolution, pixel shuffle
    }
    assert figures.optimized_figures(TINY, 2) == {
        "optimized MACs x2": 4 * 9 * pixels,
        "optimized peak bytes x2": 4 * pixels * 9,
    }
    assert figures.input_shape(Tiny(size_multiple=7)) == (1, 1, 49, 77)


@pytest.fixture(scope="module")
def espcn() -> figures.Figures:
    return figures.figures("espcn")


def test_onnx_figures_ignore_the_torch_build(espcn: figures.Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", f"{torch.__version__.partition('+')[0]}+another.build")
    expected = {name: espcn[name] for name in (figures.NODES, figures.BYTES)}
    assert figures.onnx_figures(network_spec("espcn")) == expected


def test_differences_skip_onnx_figures_of_other_versions() -> None:
    recorded = {"a": {"parameters x2": 1, "graph nodes": 5}}
    found = {"a": {"parameters x2": 2, "graph nodes": 6}, "b": {"MACs x2": 3}}
    changed = list(figures.differences(recorded, found, same_tools=False))
    assert changed == [("a", "parameters x2", 1, 2)]  # b is not recorded
    assert ("a", "graph nodes", 5, 6) in figures.differences(recorded, found, same_tools=True)


def test_command_compares_and_updates(
    espcn: figures.Figures, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures, "figures", lambda name: espcn)
    assert figures.main(["espcn"]) == 0
    assert "1 networks: no differences" in capsys.readouterr().out
    record = Record.read(figures.FILE)
    (row,) = [row for row in record.rows if row["network"] == "espcn"]
    committed = dict(row["figures"])
    row["figures"]["MACs x2"] = 1
    monkeypatch.setattr(figures, "FILE", str(record.save(tmp_path / "figures.json")))
    assert figures.main(["espcn"]) == 1
    out = capsys.readouterr().out
    assert f"| espcn | MACs x2 | 1 | {committed['MACs x2']} |" in out
    assert "python benchmarks/figures.py --write espcn" in out
    monkeypatch.setattr(figures, "tool_versions", lambda: record.environment["versions"])
    assert figures.main(["--write", "espcn"]) == 0
    (row,) = [row for row in Record.read(figures.FILE).rows if row["network"] == "espcn"]
    assert row["figures"]["MACs x2"] == committed["MACs x2"]
    assert len(Record.read(figures.FILE).rows) == len(record.rows)


@pytest.mark.slow
def test_committed_figures_are_current() -> None:
    assert figures.main([]) == 0

"""Exports are optimized unless one asks for the plain network; the manifest says what was done."""

import json
from pathlib import Path

import onnx
import pytest
import torch

from helpers.support import PORTABLE, filled
from srblocks import create_network, optimize
from srblocks_export import runtime
from srblocks_export.cli import main
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network, plan_export

pytestmark = pytest.mark.usefixtures("one_verifier")

SMALL = ["edsr_baseline", "--scale", "4", "--arg", "depth=1", "--quiet"]


def exported(folder: Path, *arguments: str) -> dict:
    assert main([*SMALL, "-o", str(folder), *arguments]) == 0
    (entry,) = json.loads((folder / "manifest.json").read_text())["artifacts"]
    return entry


def widest(file: Path) -> int:
    """The most channels that a convolution of an ONNX file gives."""
    weights = {tensor.name: tensor.dims for tensor in onnx.load(file).graph.initializer}
    return max(weights[node.input[1]][0] for node in onnx.load(file).graph.node if node.op_type == "Conv")


def test_the_tail_is_collapsed_and_the_manifest_says_so(tmp_path: Path) -> None:
    entry = exported(tmp_path)
    assert entry["verify"]["status"] == "pass"
    result = "one 5x5 convolution with border kernels and one pixel shuffle x4"
    assert {"name": "tail_collapse", "result": result, "modules": 1} in entry["rewrites"]
    assert entry["io"]["input"]["min"] == [1, 3, 4, 4]
    file = tmp_path / entry["artifact"]["file"]
    assert widest(file) == 64
    assert runtime.load(file).manifest.to_dict()["rewrites"] == entry["rewrites"]
    assert entry["model"] == exported(tmp_path, "--no-optimize", "--force")["model"]


def test_without_rewrites_the_network_is_exported_as_it_is(tmp_path: Path) -> None:
    entry = exported(tmp_path, "--no-optimize")
    assert entry["rewrites"] == []
    assert entry["io"]["input"]["min"] == [1, 3, 1, 1]
    assert widest(tmp_path / entry["artifact"]["file"]) == 256


def test_single_rewrites_are_left_out_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = exported(tmp_path, "--without", "tail_collapse")
    assert {row["name"] for row in entry["rewrites"]} == {"value_range_folding", "in_place"}
    assert main([*SMALL, "--without", "tail_colapse", "-o", str(tmp_path)]) == 2
    assert main([*SMALL, "--without", "tail_collapse", "--no-optimize", "-o", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert "E200 --without has no effect with --no-optimize; remove one" in message
    assert "E200 --without: unknown rewrite tail_colapse; available: norm_folding, " in message


@pytest.mark.parametrize("shape", [["--shape", "1x3x2x2"], ["--min", "1x3x1x1"]])
def test_sizes_that_are_asked_for_stay_legal(shape: list[str], tmp_path: Path) -> None:
    entry = exported(tmp_path, *shape)
    assert entry["verify"]["status"] == "pass"
    assert "tail_collapse" not in {row["name"] for row in entry["rewrites"]}


@pytest.mark.parametrize("format_name", PORTABLE)
def test_an_artifact_is_compared_with_the_plain_network(format_name: str, tmp_path: Path) -> None:
    net = filled(create_network("fsrcnn", scale=3))
    plan = plan_export(net, ExportConfig(formats=(format_name,), out=tmp_path))
    assert plan.reference.rewrites is None
    assert plan.net.rewrites is not None
    (report,) = export_network(net, ExportConfig(formats=(format_name,), out=tmp_path))
    assert report.error is None
    assert report.path is not None
    lr = torch.rand(2, 1, 9, 7)
    with torch.inference_mode():
        torch.testing.assert_close(runtime.load(report.path)(lr), optimize(net)(lr), rtol=1e-5, atol=1e-5)

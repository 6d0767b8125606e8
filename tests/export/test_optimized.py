"""Exports are optimized by default; the manifest lists the rewrites."""

import json
from pathlib import Path

import onnx
import pytest

from srblocks import create_network
from srblocks_export import runtime
from srblocks_export.cli import main
from srblocks_export.config import ExportConfig
from srblocks_export.plan import plan_export

pytestmark = pytest.mark.usefixtures("one_verifier")

SMALL = ["edsr_baseline", "--scale", "4", "--arg", "depth=1", "--quiet"]


def exported(folder: Path, *arguments: str) -> dict:
    assert main([*SMALL, "-o", str(folder), *arguments]) == 0
    (entry,) = json.loads((folder / "manifest.json").read_text())["artifacts"]
    return entry


def widest(file: Path) -> int:
    """Return the largest number of output channels of the convolutions of an ONNX file."""
    weights = {tensor.name: tensor.dims for tensor in onnx.load(file).graph.initializer}
    return max(weights[node.input[1]][0] for node in onnx.load(file).graph.node if node.op_type == "Conv")


def test_exports_are_optimized_by_default(tmp_path: Path) -> None:
    entry = exported(tmp_path)
    assert entry["verify"]["status"] == "pass"
    result = "one 5x5 convolution with border kernels and one pixel shuffle x4"
    assert {"name": "tail_collapse", "result": result, "modules": 1} in entry["rewrites"]
    assert entry["io"]["input"]["min"] == [1, 3, 4, 4]
    file = tmp_path / entry["artifact"]["file"]
    assert widest(file) == 64
    assert runtime.load(file).manifest.to_dict()["rewrites"] == entry["rewrites"]
    plain = exported(tmp_path, "--no-optimize", "--force", "--verify", "off")
    assert plain["model"] == entry["model"]
    assert plain["rewrites"] == []
    assert plain["io"]["input"]["min"] == [1, 3, 1, 1]
    assert widest(file) == 256


def test_rewrites_can_be_excluded_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = exported(tmp_path, "--torchscript", "--without", "tail_collapse", "--verify", "off")
    assert {row["name"] for row in entry["rewrites"]} == {"value_range_folding", "in_place"}
    assert main([*SMALL, "--without", "tail_colapse", "-o", str(tmp_path)]) == 2
    assert main([*SMALL, "--without", "tail_collapse", "--no-optimize", "-o", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert "E200 --without has no effect with --no-optimize; remove one" in message
    assert "E200 --without: unknown rewrite tail_colapse; available: reparameterization, " in message


@pytest.mark.parametrize("shape", [["--shape", "1x3x2x2"], ["--min", "1x3x1x1"]])
def test_requested_sizes_stay_legal(shape: list[str], tmp_path: Path) -> None:
    entry = exported(tmp_path, "--torchscript", *shape)
    assert entry["verify"]["status"] == "pass"
    assert "tail_collapse" not in {row["name"] for row in entry["rewrites"]}


def test_artifact_is_verified_against_the_plain_network(tmp_path: Path) -> None:
    net = create_network("fsrcnn", scale=3)
    plan = plan_export(net, ExportConfig(formats=("torchscript",), out=tmp_path))
    assert plan.reference.rewrites is None
    assert plan.net.rewrites is not None

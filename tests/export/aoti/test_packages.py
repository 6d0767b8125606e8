"""AOTInductor packages: contents, results compared with the network, and inputs."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from export.aoti.packages import STEM, read_records
from helpers.support import Unshuffled, filled, relative_error, trained_alike, write_artifact
from srblocks import create_network, load_pretrained, optimize
from srblocks.networks import network_spec, network_specs
from srblocks_export.config import ExportConfig
from srblocks_export.errors import InputError
from srblocks_export.export import export_network
from srblocks_export.formats import cxx_compiler
from srblocks_export.manifest import FILE, SCHEMA
from srblocks_export.plan import network_shapes
from srblocks_export.runtime import Artifact, load
from srblocks_export.verification.inputs import References
from srblocks_export.verification.process import Worker

pytestmark = pytest.mark.skipif(cxx_compiler() is None, reason="needs a C++ compiler")
TOLERANCE = 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", [spec.name for spec in network_specs()])
def test_package_matches_the_network_at_several_sizes(name: str, tmp_path: Path, worker: Worker) -> None:
    spec = network_spec(name)
    net = filled(create_network(name, scale=spec.default_scale, **spec.reduced))
    config = ExportConfig(formats=("aoti",), out=tmp_path)
    exported = optimize(net)
    shapes = network_shapes(exported, config)
    path = tmp_path / "artifact.aoti.pt2"
    write_artifact(exported, path, config, reference=net)
    tolerance = {"san": 1e-4, "csnln": 1e-4}.get(name, TOLERANCE)
    result = worker.verify(path, References(net, shapes, tmp_path), tolerance)
    assert result.problem is None
    assert len({tuple(case.shape) for case in result.cases}) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_passes_verification_and_accepts_any_strides(precision: str, tmp_path: Path) -> None:
    net = trained_alike(create_network("edsr_baseline", depth=1, width=16, value_range=1.0))
    (report,) = export_network(net, ExportConfig(formats=("aoti",), out=tmp_path, precision=precision))
    assert report.error is None
    assert report.path is not None
    half = load(report.path)
    assert half.manifest.precision.compute == {"bf16": "bfloat16", "fp16": "float16"}[precision]
    lr = torch.rand(2, 3, 9, 14)
    assert torch.equal(half(lr.to(memory_format=torch.channels_last)), half(lr))


def test_manifest_records_the_requirements_of_the_package(folder: Path, package: Path) -> None:
    (entry,) = json.loads((folder / FILE).read_text())["artifacts"]
    metadata = json.loads(read_records(package)[f"{STEM}_metadata.json"])
    assert entry["artifact"]["portability"] == {
        "device": "cpu",
        "os": f"{metadata['AOTI_PLATFORM']}-{metadata['AOTI_MACHINE']}",
        "cpu_isa": metadata["AOTI_CPU_ISA"],
        "torch": torch.__version__.partition("+")[0],
    }
    assert entry["verify"]["status"] == "pass"
    assert entry["verify"]["max_error"] < TOLERANCE
    embedded = load(package).manifest.to_dict()
    assert embedded == json.loads(metadata["srblocks"])
    assert embedded["schema"] == SCHEMA
    assert embedded == {key: entry[key] for key in ("schema", "model", "io", "precision", "rewrites")}


def test_package_contains_no_paths_of_this_machine(folder: Path, package: Path) -> None:
    content = read_records(package)
    assert [name for name in content if name.startswith("archive/data")] == [
        f"{STEM}.cpp",
        f"{STEM}_metadata.json",
        f"{STEM}.so",
    ]
    paths = [Path(torch.__file__).parents[1], Path.cwd(), Path.home(), folder, tempfile.gettempdir(), sys.prefix]
    for name, record in content.items():
        for text in (*(f"{path}/" for path in paths), "site-packages", ".py\0", "g++ "):
            assert text.encode() not in record, (name, text)
    assert b"/torch/csrc/inductor/" in content[f"{STEM}.so"]


def test_new_process_loads_without_a_compiler_or_temporary_files(package: Path, tmp_path: Path) -> None:
    code = """
import os, sys, tempfile, torch
from srblocks_export.runtime import load
sr = load(sys.argv[1])(torch.rand(1, 1, 9, 7))
assert sr.shape == (1, 1, 18, 14) and torch.isfinite(sr).all()
assert not {"torch._inductor.codecache", "srblocks_export.formats.torch_export.exporter"} & set(sys.modules)
left = [name for folder, _, files in os.walk(tempfile.gettempdir()) for name in files]
assert left == [], left
"""
    environment = os.environ | {"TMPDIR": str(tmp_path), "PATH": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, package], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_caller_controls_the_number_of_threads(artifact: Artifact) -> None:
    lr = torch.rand(1, 1, 40, 30)
    expected = artifact(lr)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.testing.assert_close(artifact(lr), expected, rtol=1e-5, atol=1e-6)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_any_memory_layout_has_the_same_result(artifact: Artifact) -> None:
    lr = torch.rand(2, 1, 11, 17, generator=torch.Generator().manual_seed(0))
    layouts = {
        "channels_last": lr.to(memory_format=torch.channels_last),
        "transposed": lr.transpose(2, 3).contiguous().transpose(2, 3),
        "sliced": torch.stack([lr, 9 + lr], -1)[..., 0],
        "offset": torch.cat([lr.new_full((3,), 9.0), lr.flatten()])[3:].view(lr.shape),
        "expanded": lr[:1].expand(3, -1, -1, -1),
        "odd strides": torch.as_strided(lr, lr.shape, (lr[0].numel(), 1, lr.shape[3], 1)),
        "negated": torch.view_as_complex(torch.stack([lr, -lr], -1)).conj().imag,
        "double": lr.double(),
        "requires_grad": lr.clone().requires_grad_(),
    }
    net = load_pretrained("fsrcnn", scale=2)
    for name, images in layouts.items():
        with torch.no_grad():
            expected = net(images.float().contiguous())
        sr = artifact(images)
        assert not sr.requires_grad, name
        assert sr.is_contiguous(), name
        assert relative_error(sr, expected) < TOLERANCE, name


def test_input_is_unchanged_and_output_is_not_reused(artifact: Artifact) -> None:
    lr = torch.rand(1, 1, 12, 9)
    before = lr.clone()
    first = artifact(lr)
    kept = first.clone()
    second = artifact(torch.zeros_like(lr))
    assert torch.equal(lr, before)
    assert torch.equal(first, kept)
    assert not torch.equal(first, second)


@pytest.mark.slow
def test_sizes_out_of_range_are_errors(tmp_path: Path) -> None:
    (report,) = export_network(Unshuffled(), ExportConfig(formats=("aoti",), out=tmp_path, maximum=(4, 1, 32, 64)))
    assert report.path is not None, report.error
    even = load(report.path)
    assert even(torch.rand(3, 1, 6, 10)).shape == (3, 1, 12, 20)
    assert even.shapes.minimum == (1, 1, 4, 4)
    for shape, message in (
        ((1, 1, 2, 8), r"height 2 is outside 4..32"),
        ((1, 1, 8, 66), r"width 66 is outside 4..64"),
        ((5, 1, 8, 8), r"batch 5 is outside 1..4"),
        ((1, 3, 8, 8), r"channels 3 is outside 1..1"),
    ):
        with pytest.raises(InputError, match=message):
            even(torch.rand(shape))
    # The compiled code itself does not check the range.
    assert even._run(torch.rand(1, 1, 2, 8)).shape == (1, 1, 4, 16)

"""Formats for GPUs, built and run on the GPU of this machine; skipped without one."""

from pathlib import Path

import pytest
import torch

from helpers.support import relative_error, trained_alike
from srblocks import create_network
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS
from srblocks_export.report import ArtifactReport

NETWORKS = ("fsrcnn", "espcn", "vdsr", "edsr_baseline", "rcan", "rdn", "lapsrn", "dbpn", "carn")
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def buildable(name: str) -> pytest.MarkDecorator:
    missing = FORMATS[name].missing()
    return pytest.mark.skipif(missing is not None, reason=f"--{name}: {missing.what}" if missing else "")


def network(name: str) -> Network:
    spec = network_spec(name)
    return trained_alike(create_network(name, scale=spec.default_scale, **spec.reduced))


def export(net: Network, folder: Path, **options: object) -> ArtifactReport:
    """Export and verify a network, and return the report of the last file."""
    sizes = {"minimum": (1, net.image_channels, 8, 8), "maximum": (1, net.image_channels, 96, 128)}
    return export_network(net, ExportConfig(out=folder, **(sizes | options)))[-1]  # type: ignore[arg-type]


def errors(folder: Path, names: tuple[str, ...], **options: object) -> dict[str, str]:
    """Export networks, and return the errors by their names."""
    reports = {name: export(network(name), folder / name, **options) for name in names}
    return {name: str(report.error) for name, report in reports.items() if report.error or not report.path}


@buildable("trt")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_engines_match_the_networks(precision: str, tmp_path: Path) -> None:
    assert errors(tmp_path, NETWORKS, formats=("trt",), precision=precision) == {}


@pytest.mark.skipif(FORMATS["trt-rtx"].missing(build=False) is not None, reason="needs TensorRT for RTX and its GPU")
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_rtx_engines_match_the_networks(precision: str, tmp_path: Path) -> None:
    assert errors(tmp_path, NETWORKS, formats=("trt-rtx",), precision=precision) == {}


@buildable("torch-trt")
def test_torch_tensorrt_programs_match_the_networks(tmp_path: Path) -> None:
    assert errors(tmp_path, NETWORKS, formats=("torch-trt",)) == {}


@on_cuda
@buildable("aoti")
def test_cuda_packages_match_the_networks(tmp_path: Path) -> None:
    names = ("vdsr", "edsr_baseline", "lapsrn", "dbpn")
    assert errors(tmp_path, names, formats=("aoti",), device="cuda") == {}
    for name in names:
        (path,) = (tmp_path / name).glob("*.pt2")
        assert runtime.load(path)(torch.rand(1, network(name).image_channels, 9, 14, device="cuda")).is_cuda, name


@buildable("trt")
@pytest.mark.parametrize("options", [{}, {"reuse_output": True}, {"cuda_graph": True}], ids=str)
def test_engine_runs_on_any_stream_and_shape(options: dict[str, bool], tmp_path: Path) -> None:
    net = network("espcn")
    report = export(net, tmp_path, formats=("trt",))
    assert report.error is None
    assert report.path is not None
    artifact = runtime.load(report.path, **options)
    batch = torch.rand(3, 1, 17, 23)
    with torch.inference_mode():
        expected = net(batch)
        artifact(batch[:1].cuda())
    found = []
    for number, stream in enumerate([torch.cuda.Stream() for _ in range(3)]):  # no stream waits for another
        with torch.cuda.stream(stream):
            found.append(artifact(batch.cuda(non_blocking=True)[number : number + 1]).clone())
    torch.cuda.synchronize()
    assert relative_error(torch.cat(found).cpu(), expected) < 1e-3
    for stream in (torch.cuda.current_stream(), torch.cuda.Stream()):
        for shape in ((1, 1, 17, 23), (1, 1, 96, 128), (1, 1, 96, 128), (1, 1, 17, 23)):
            lr = torch.rand(shape)
            with torch.cuda.stream(stream), torch.inference_mode():
                sr = artifact(lr.cuda(non_blocking=True))
                assert sr.is_cuda
                assert relative_error(sr.cpu(), net(lr)) < 1e-3

"""Evidence from hardware: what is compiled for GPUs, built and run on the GPU of this machine; skipped without one."""

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

NETWORKS = ("fsrcnn", "espcn", "vdsr", "edsr_baseline", "rcan", "rdn", "lapsrn", "dbpn", "carn")
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def buildable(name: str) -> pytest.MarkDecorator:
    missing = FORMATS[name].missing()
    return pytest.mark.skipif(missing is not None, reason=f"--{name}: {missing.what}" if missing else "")


def network(name: str) -> Network:
    spec = network_spec(name)
    return trained_alike(create_network(name, scale=min(spec.scales), **spec.reduced))


def export(net: Network, folder: Path, **options: object) -> Path:
    """Export and let the command's own verification compare; give the file."""
    sizes = {"minimum": (1, net.image_channels, 8, 8), "maximum": (1, net.image_channels, 96, 128)}
    report = export_network(net, ExportConfig(out=folder, **(sizes | options)))[-1]  # type: ignore[arg-type]
    assert report.error is None
    assert report.path is not None
    return report.path


@buildable("trt")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_engines_are_the_networks(name: str, precision: str, tmp_path: Path) -> None:
    export(network(name), tmp_path, formats=("trt",), precision=precision)


@buildable("torch-trt")
@pytest.mark.parametrize("name", NETWORKS)
def test_programs_with_engines_are_the_networks(name: str, tmp_path: Path) -> None:
    export(network(name), tmp_path, formats=("torch-trt",))


@on_cuda
@buildable("aoti")
@pytest.mark.parametrize("name", ["vdsr", "edsr_baseline", "lapsrn", "dbpn"])
def test_packages_for_cuda_are_the_networks(name: str, tmp_path: Path) -> None:
    path = export(network(name), tmp_path, formats=("aoti",), device="cuda")
    assert runtime.load(path)(torch.rand(1, network(name).image_channels, 9, 14, device="cuda")).is_cuda


@buildable("trt")
@pytest.mark.parametrize("options", [{}, {"reuse_output": True}, {"cuda_graph": True}], ids=str)
def test_an_engine_runs_on_any_stream_and_shape(options: dict[str, bool], tmp_path: Path) -> None:
    net = network("espcn")
    artifact = runtime.load(export(net, tmp_path, formats=("trt",)), **options)
    batch = torch.rand(3, 1, 17, 23)
    with torch.inference_mode():
        expected = net(batch)
        artifact(batch[:1].cuda())
    found = []
    for number, stream in enumerate([torch.cuda.Stream() for _ in range(3)]):  # none waits for another
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

"""What is the same on every machine: parameters, multiply-accumulates, memory of activations, exported files."""

import contextlib
import multiprocessing
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path

import torch
from torch import nn

from srblocks import optimize
from srblocks._utils.memory import peak_bytes
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks.registry import NetworkSpec
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS

from . import environment
from .operations import work

SIDES = 48, 72
"""Height and width of the images; networks that want multiples of another number get the next one."""

NODES, BYTES = "graph nodes", "artifact bytes"
BOUND = (NODES, BYTES)
"""Figures that the libraries of an export decide too."""

TOOLS = ("torch", "onnx", "onnxscript", "onnx-ir")

Figures = dict[str, int]


def tools() -> dict[str, str]:
    """The releases of what is installed of them, whatever kind of machine they were built for."""
    found: dict[str, str] = {}
    for package in TOOLS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package).partition("+")[0]
    return found


def images_of(net: Network) -> tuple[int, int, int, int]:
    """The shape of the images on which a network is counted."""
    height, width = (-(-max(side, net.min_size) // net.size_multiple) * net.size_multiple for side in SIDES)
    return 1, net.image_channels, height, width


def parameters(net: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in net.parameters())


def plain(spec: NetworkSpec, scale: int) -> Figures:
    """The network as its paper has it, described without memory."""
    with torch.device("meta"):
        net = spec.create(scale=scale).eval()
    shape = images_of(net)
    return {
        f"parameters x{scale}": parameters(net),
        f"MACs x{scale}": work(net, shape).macs,
        f"peak bytes x{scale}": peak_bytes(net, shape),
    }


def optimized(spec: NetworkSpec, scale: int) -> Figures:
    """The network as the rewrites make it."""
    torch.manual_seed(0)
    net = optimize(spec.create(scale=scale).eval())
    shape = images_of(net)
    return {
        f"optimized MACs x{scale}": work(net, shape).macs,
        f"optimized peak bytes x{scale}": peak_bytes(net, shape),
    }


def exported(spec: NetworkSpec, scale: int) -> Figures:
    """The ONNX file of the shortened network, optimized, for all sizes; nothing where it cannot be made.

    The name of torch's build, of which no two machines need have the same, does not count.
    """
    if "onnx" in spec.limits or FORMATS["onnx"].missing():
        return {}
    import onnx  # noqa: PLC0415 (an extra)

    torch.manual_seed(0)
    net = spec.create(scale=scale, **spec.reduced).eval()
    with tempfile.TemporaryDirectory(prefix="srblocks-") as folder:
        request = ExportConfig(formats=("onnx",), out=Path(folder), name=spec.name, verify="off")
        for report in export_network(net, request):
            if report.error:
                raise report.error
        path = request.out / f"{spec.name}{FORMATS['onnx'].suffix}"
        model = onnx.load(path)
        return {NODES: len(model.graph.node), BYTES: path.stat().st_size - len(model.producer_version)}


def figures(name: str) -> Figures:
    """All figures of one network; what is not described but made is made at its smallest scale."""
    spec = network_spec(name)
    least = min(spec.scales)
    found = {figure: value for scale in spec.scales for figure, value in plain(spec, scale).items()}
    return found | optimized(spec, least) | exported(spec, least)


def figures_of(names: Iterable[str]) -> dict[str, Figures]:
    """The figures of networks, on all cores; one thread each."""
    names = list(names)
    workers = min(environment.cores(), len(names))
    if workers < 2:
        return {name: figures(name) for name in names}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return dict(zip(names, pool.map(figures, names), strict=True))

"""Shared helpers: the published fill rule, error bounds and the data folder."""

import json
import math
import os
import re
import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from torch import Tensor, nn

from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec
from srblocks_export.cli import main
from srblocks_export.config import ExportConfig
from srblocks_export.formats import FORMATS, WriteContext
from srblocks_export.formats.tensorrt.lint import Finding, lint
from srblocks_export.formats.tensorrt.trt_engine import TENSORRT_RTX
from srblocks_export.manifest import describe
from srblocks_export.plan import network_shapes
from srblocks_export.shapes import Shapes

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
FACTS = Path(__file__).parents[1] / "data"
TENSORRT = ("8.6", "10.0", "10.15", "11.0", "11.5")
TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])
TOO_NEW = [name for name, row in FORMATS.items() if row.min_torch and row.min_torch > TORCH]
"""Formats that require a newer torch."""
needs_torch_export = pytest.mark.skipif("pt2" in TOO_NEW, reason="needs torch >= 2.11: run it with the default torch")
needs_rtx = pytest.mark.skipif(
    TENSORRT_RTX.module is None, reason='needs TensorRT for RTX: pip install "srblocks[trt-rtx]"'
)
PORTABLE = [name for name, row in FORMATS.items() if row.portable and name not in TOO_NEW]
CASES = int(os.environ.get("SRBLOCKS_CASES", "1"))
"""Factor for the number of random cases in property, fault and fuzz tests, set by `make test-thorough`."""


def cases(count: int) -> settings:
    """Return hypothesis settings for `count` random cases, times `CASES`; the default suite is deterministic."""
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count * CASES, deadline=None, derandomize=CASES == 1, suppress_health_check=health)


class Unshuffled(Network):
    """Network that requires even H and W."""

    def __init__(self) -> None:
        super().__init__(scale=2, image_channels=1, min_size=3, size_multiple=2)
        self.body = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 16, 3, padding=1), nn.PixelShuffle(4))

    def forward(self, lr: Tensor) -> Tensor:
        return self.body(lr)


def facts(name: str) -> dict:
    """Return the content of a JSON file with published numbers."""
    return json.loads((FACTS / name).read_text())


def data_folder() -> Path | None:
    """Return the folder of published images and weights; None if the variable is not set."""
    value = os.environ.get("SRBLOCKS_DATA")
    return Path(value) if value else None


def one_spec_per_class() -> list[NetworkSpec]:
    """Return one registered network of each class."""
    return list({spec.constructor[0]: spec for spec in network_specs()}.values())


@torch.no_grad()
def fill(net: nn.Module, gain: float = 1.2) -> None:
    """Fill every tensor with values that depend only on its shape, to compare two implementations.

    Element j (from 1) is u = 2 frac(sin(12.9898 j) 43758.5453) - 1: matrices gain u / sqrt(fan in), biases 0.05 u, norm
    weights 1 + 0.05 u, PReLU slopes and bare parameters 0.25 + 0.05 u; mean shifts keep their values.
    """
    values = cache(pattern)
    for name, tensor in net.named_parameters():
        module = net.get_submodule(name.rpartition(".")[0])
        norm = isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm))
        if tensor.ndim >= 2:
            kind = "matrix"
        elif norm and name.endswith("weight"):
            kind = "scale"
        elif norm or name.endswith("bias"):
            kind = "bias"
        else:
            kind = "slope"
        tensor.copy_(values(kind, tuple(tensor.shape), gain=gain))


def pattern(kind: str, shape: tuple[int, ...], start: int = 0, *, gain: float = 1.2) -> Tensor:
    """Return the values of the published fill rule, starting at element `start`."""
    j = torch.arange(1 + start, 1 + start + math.prod(shape), dtype=torch.float64)
    wave = torch.sin(j * 12.9898) * 43758.5453
    u = (2 * (wave - wave.floor()) - 1).view(shape)
    if kind == "matrix":
        return gain * u / math.sqrt(math.prod(shape) / shape[0])
    return {"scale": 1.0, "bias": 0.0, "slope": 0.25}[kind] + 0.05 * u


def filled_by_name(tensors: list[tuple[str, list[int], str | list[float]]], *, gain: float = 1.2) -> dict[str, Tensor]:
    """Return a state dict whose values depend on the names of the tensors.

    Kinds are those of the fill rule, "keep" for the initial statistics and counters of a norm, or a list of values.
    """
    state: dict[str, Tensor] = {}
    for name, shape, kind in tensors:
        if isinstance(kind, list):
            state[name] = torch.tensor(kind, dtype=torch.float64).view(shape)
        elif kind == "keep":
            counter = name.endswith("num_batches_tracked")
            value = 1 if name.endswith("running_var") else 0
            state[name] = torch.full(shape, value, dtype=torch.int64 if counter else torch.float64)
        else:
            state[name] = pattern(kind, tuple(shape), zlib.crc32(name.encode()) % 65536, gain=gain)
    return state


@torch.no_grad()
def trained_alike(net: Network, gain: float = 1.0) -> Network:
    """Set weights that keep the scale of activations through a deep network, and switch to eval mode.

    Residual blocks add up: a `gain` below 1 keeps the sum of many of them small.
    """
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            fan_in = layer.weight.numel() / layer.out_channels / (layer.stride[0] ** 2 if layer.transposed else 1)
            layer.weight.normal_(0, gain * math.sqrt(2 / fan_in))
            if layer.bias is not None:
                layer.bias.normal_(0, 0.05)
    return net.eval()


def wave_image(shape: tuple[int, ...]) -> Tensor:
    """Return the published test input in [0, 1], float64."""
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    return (0.5 + 0.45 * torch.sin(0.05 * i)).view(shape)


def filled(net: Network, gain: float = 1.2) -> Network:
    """Fill a network and put it in eval mode."""
    fill(net, gain)
    return net.eval()


def authors_state(row: str) -> dict[str, Tensor]:
    """Return a state dict in a recorded layout, filled by name, in float32."""
    recorded = facts("layouts.json")[row]
    tensors = filled_by_name(recorded["tensors"], gain=recorded.get("gain", 1.2))
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def tensorrt_findings(path: Path, *versions: str) -> list[Finding]:
    """Return TensorRT's findings for an ONNX file, for the given versions or the first and last of each major."""
    return [found for version in versions or TENSORRT for found in lint(path, target=version)]


def write_artifact(
    net: Network, path: Path, config: ExportConfig, *, reference: Network | None = None, shapes: Shapes | None = None
) -> dict[str, Any]:
    """Write one artifact in the last format of `config`, without verification; return the details of the file."""
    shapes = shapes or network_shapes(net, config, bounded=FORMATS[config.formats[-1]].needs_range)
    context = WriteContext(shapes, describe(reference or net, shapes).to_dict(), config)
    return FORMATS[config.formats[-1]].write(net, path, context)


def summary(output: Tensor) -> dict[str, float]:
    """Return the statistics and pixels of an output that are compared with published ones."""
    _, _, height, width = output.shape
    found = {
        "mean": output.mean(),
        "std": output.std(correction=0),
        "first": output[0, 0, 0, 0],
        "last": output[0, -1, -1, -1],
        "mid": output[0, 0, height // 2, width // 3],
    }
    return {key: float(value) for key, value in found.items()}


def relative_error(value: Tensor, reference: Tensor) -> float:
    """Return the maximum error relative to the standard deviation of the reference."""
    return float(((value - reference).abs().max() / reference.std()).detach())


def generated(name: str, document: str = README) -> str:
    """Return the text between the markers of that name in a document."""
    found = re.search(rf"<!-- {name}: .*? -->\n(.*?)\n?<!-- end -->", document, re.DOTALL)
    assert found is not None
    return found[1]


def outcome(
    main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    """Run a command and return its exit code, standard output and standard error."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


run = partial(outcome, main)
"""Run srblocks-export."""

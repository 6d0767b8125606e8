"""The figures of the gate: counted, and timed beside a reference."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from harness import figures, ratios
from harness.cases import Case
from srblocks.network import Network
from srblocks.registry import NetworkSpec, SizeRequirements


class Tiny(Network):
    """One convolution and a pixel shuffle."""

    def __init__(self, *, scale: int = 2, width: int = 4, size_multiple: int = 1) -> None:
        super().__init__(scale=scale, image_channels=1, size_multiple=size_multiple)
        self.tail = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, lr: Tensor) -> Tensor:
        return self.tail(lr)


TINY = NetworkSpec(
    name="tiny", build=Tiny, paper="nobody", framework="post", size_requirements={2: SizeRequirements(radius=1)}
)


def test_figures_are_those_counted_by_hand() -> None:
    pixels = 48 * 72
    assert figures.plain(TINY, 2) == {
        "parameters x2": 4 * 9 + 4,
        "MACs x2": 4 * 9 * pixels,
        "peak bytes x2": 4 * pixels * (1 + 4 + 4),  # the image, the convolution's output, its pixels shuffled
    }
    assert figures.optimized(TINY, 2) == {
        "optimized MACs x2": 4 * 9 * pixels,
        "optimized peak bytes x2": 4 * pixels * 9,
    }


def test_images_have_sizes_that_the_network_takes() -> None:
    assert figures.images_of(Tiny()) == (1, 1, 48, 72)
    assert figures.images_of(Tiny(size_multiple=7)) == (1, 1, 49, 77)


def test_exported_files_are_counted_without_the_build_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    first = figures.exported(TINY, 2)
    assert first["graph nodes"] == 2
    assert 4 * 40 < first["artifact bytes"] < 4000
    monkeypatch.setattr(torch, "__version__", f"{torch.__version__.partition('+')[0]}+another.build")
    assert figures.exported(TINY, 2) == first
    assert figures.exported(replace(TINY, limits={"onnx": "why"}), 2) == {}


def test_releases_count_and_builds_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"torch": "2.14.1+cpu", "onnx": "1.23.2", "onnx-ir": "1.1.0"}

    def version(package: str) -> str:
        if package not in versions:
            raise figures.metadata.PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(figures.metadata, "version", version)
    assert figures.tools() == {"torch": "2.14.1", "onnx": "1.23.2", "onnx-ir": "1.1.0"}


def test_a_network_is_timed_beside_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cpu.SECONDS", 0.0)
    case = Case("fsrcnn", 2, 12, 10, engines=("eager fp32", "onnxruntime fp32", "OpenVINO fp16"), config={"depth": 1})
    times, absent = ratios.ratios_of([case], rounds=2)
    labels = [f"{variant}, {engine} fp32" for engine in ("eager", "onnxruntime") for variant in ("plain", "optimized")]
    assert list(times) == [f"fsrcnn (depth=1) x2 on 12x10, {label}" for label in labels]
    assert [one.library for one in times.values()] == ["torch", "torch", "onnxruntime", "onnxruntime"]
    assert {len(one.timing.milliseconds) for one in times.values()} == {2}
    assert len({one.reference for one in times.values()}) == 1
    assert set(absent.values()) == {"not in fp16 on cpu"}
    assert len(absent) == 2


def test_an_engine_that_fails_stops_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = replace(ratios.ENGINES["eager"], build=lambda subject: 1 / 0)
    monkeypatch.setitem(ratios.ENGINES, "eager", engine)
    case = Case("fsrcnn", 2, 12, 10, engines=("eager fp32",), config={"depth": 1})
    with pytest.raises(SystemExit, match="plain fsrcnn in eager fp32: ZeroDivisionError"):
        ratios.measure(case, rounds=1)

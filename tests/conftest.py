"""Shared fixtures and markers; tests that take `spec` (and `scale`) run for every network of the registry."""

import contextlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from helpers.support import TOO_NEW, data_folder
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec
from srblocks_export import export
from srblocks_export.verification.process import Worker

torch.set_num_threads(1)

QUICK_NETWORKS = ("vdsr", "fsrcnn", "edsr_baseline", "lapsrn", "dbpn_ss")
"""One network of each framework and the most common one; tests of the others are not part of the fast subset."""

LENGTHY = re.compile(
    r"/(benchmarks|evaluate|export|faults|fuzz|integrations)/"
    r"|/test_(published|variants|recorded_layouts|fingerprints|upscaler|artifacts|contributing|docs|documents"
    r"|entry_points|blocks|fine_tuning|lean_import|precision|ray|matching|tail_collapse|tiling|train|train_distributed|wheel)\.py$"
)
"""Tests that export, train, measure or start processes."""


NEW_FORMAT = re.compile("|".join(rf"(\b|--|/){name}\b" for name in TOO_NEW).replace("-trt", "[-_]trt"))
"""Names of formats for which this torch is too old."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="record new snapshots of networks")


def pytest_sessionstart() -> None:
    folder = data_folder()
    if folder and not (folder / "images" / "Set5").is_dir():
        raise pytest.UsageError(f"SRBLOCKS_DATA={folder} has no images/Set5; correct the variable or unset it")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = set(metafunc.fixturenames)
    if "spec" not in names:
        return
    specs = network_specs()
    representatives = {spec.constructor[0]: spec for spec in specs}
    one_per_class = metafunc.definition.get_closest_marker("one_of_each_class")

    def marks(spec: NetworkSpec, scale: int) -> list[pytest.MarkDecorator]:
        if one_per_class is None:
            return []
        is_usual = representatives[spec.constructor[0]] is spec and scale == spec.default_scale
        return [] if is_usual and spec.name not in one_per_class.kwargs.get("but", ()) else [pytest.mark.slow]

    if "scale" in names:
        rows = [(spec, scale) for spec in specs for scale in spec.scales]
        found = [pytest.param(*row, marks=marks(*row), id=f"{row[0].name}-x{row[1]}") for row in rows]
        metafunc.parametrize("spec,scale", found)
    else:
        found = [pytest.param(spec, marks=marks(spec, spec.default_scale), id=spec.name) for spec in specs]
        metafunc.parametrize("spec", found)


def mentions_new_format(item: pytest.Function) -> bool:
    return bool(NEW_FORMAT.search(f"{item.nodeid} {inspect.getsource(item.function)}"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if TOO_NEW and isinstance(item, pytest.Function) and mentions_new_format(item):
            item.add_marker(pytest.mark.skip(reason="needs a format of torch >= 2.11: run it with the default torch"))
        callspec = getattr(item, "callspec", None)
        spec = callspec.params.get("spec") if callspec else None
        is_lengthy = LENGTHY.search(item.path.as_posix()) or item.get_closest_marker("slow")
        if not is_lengthy and (spec is None or spec.name in QUICK_NETWORKS):
            item.add_marker(pytest.mark.quick)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    total: Counter[str] = Counter()
    for report in terminalreporter.getreports(""):
        for name, counted in report.user_properties if report.when == "teardown" else ():
            if name == "tally":
                total.update(counted)
    if total:
        terminalreporter.section("random cases")
        for name, count in sorted(total.items()):
            terminalreporter.write_line(f"{name}: {count:,}")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """Counter of random cases; the sums over all tests are printed at the end."""
    counted: Counter[str] = Counter()
    yield counted
    request.node.user_properties.append(("tally", dict(counted)))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    if TOO_NEW:
        torch.compiler.reset()  # torch.export counted as compilation, whose number is limited


@pytest.fixture(scope="session")
def data() -> Path:
    folder = data_folder()
    if folder is None:
        pytest.skip("needs the published images and weights: set SRBLOCKS_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    with Worker() as process:
        yield process


@pytest.fixture
def one_verifier(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify exports in one process shared by all tests: a new process takes seconds to start."""
    monkeypatch.setattr(export, "Worker", lambda: contextlib.nullcontext(worker))

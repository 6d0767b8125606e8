"""Every test that takes `spec` or `scale` runs for every row of the registry."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from srblocks.registry import network_specs
from srblocks_export.verify import Worker
from support import data_folder

torch.set_num_threads(1)


def pytest_sessionstart() -> None:
    folder = data_folder()
    if folder and not (folder / "images" / "Set5").is_dir():
        raise pytest.UsageError(f"SRBLOCKS_DATA={folder} holds no images/Set5; correct the variable or unset it")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = set(metafunc.fixturenames)
    if {"spec", "scale"} <= names:
        rows = [(spec, scale) for spec in network_specs() for scale in spec.scales]
        metafunc.parametrize("spec,scale", rows, ids=[f"{spec.name}-x{scale}" for spec, scale in rows])
    elif "spec" in names:
        metafunc.parametrize("spec", network_specs(), ids=lambda spec: spec.name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    total: Counter[str] = Counter()
    for report in terminalreporter.getreports(""):
        for name, counted in report.user_properties if report.when == "teardown" else ():
            if name == "tally":
                total.update(counted)
    if total:
        terminalreporter.section("tried")
        for name, count in sorted(total.items()):
            terminalreporter.write_line(f"{name}: {count:,}")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """Counts what a test tries; the sums over all tests are printed at the end."""
    counted: Counter[str] = Counter()
    yield counted
    request.node.user_properties.append(("tally", dict(counted)))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


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

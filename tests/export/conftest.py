"""Fixtures of the export tests: a cached operator table, and engines built with fake TensorRT versions."""

import contextlib
import functools
import importlib
import shutil
from pathlib import Path

import pytest

from helpers.cuda_standin import export_engine, imitate
from helpers.tensorrt_standin import MAJORS, Standin
from srblocks_export.report import ArtifactReport


@pytest.fixture(autouse=True, scope="session")
def _cached_operator_table() -> None:
    """Cache the operator table that torch.onnx rebuilds for every export: nearly half the time of a small export."""
    with contextlib.suppress(ImportError):  # the module is private to onnxscript
        operators = importlib.import_module("onnxscript._framework_apis.torch_2_11")
        operators.get_torchlib_ops = functools.cache(operators.get_torchlib_ops)


@pytest.fixture(scope="session", params=MAJORS)
def engine_export(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[ArtifactReport]]:
    """A TensorRT version and the reports of an export with it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        imitate(monkeypatch, request.param)
        return request.param, export_engine(tmp_path_factory.mktemp("engine"))


@pytest.fixture
def standin(engine_export: tuple[str, list[ArtifactReport]], monkeypatch: pytest.MonkeyPatch) -> Standin:
    return imitate(monkeypatch, engine_export[0])


@pytest.fixture
def engine(standin: Standin, engine_export: tuple[str, list[ArtifactReport]], tmp_path: Path) -> Path:
    """A copy of an engine and its manifest, with the version that built it installed."""
    path = engine_export[1][1].path
    assert path is not None
    return Path(shutil.copytree(path.parent, tmp_path / "engine")) / path.name

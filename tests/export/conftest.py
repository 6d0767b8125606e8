"""What the tests of exports share: the exporter's table of operators, and engines that stand-ins for TensorRT made."""

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
def _one_table_of_operators() -> None:
    """Keep the table that torch.onnx makes anew for every export, nearly half the time of a small one."""
    with contextlib.suppress(ImportError):  # where onnxscript keeps it is its own affair
        operators = importlib.import_module("onnxscript._framework_apis.torch_2_11")
        operators.get_torchlib_ops = functools.cache(operators.get_torchlib_ops)


@pytest.fixture(scope="module", params=MAJORS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[ArtifactReport]]:
    """What an export gives by each version."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        imitate(monkeypatch, request.param)
        return request.param, export_engine(tmp_path_factory.mktemp("made"))


@pytest.fixture
def standin(made: tuple[str, list[ArtifactReport]], monkeypatch: pytest.MonkeyPatch) -> Standin:
    return imitate(monkeypatch, made[0])


@pytest.fixture
def engine(standin: Standin, made: tuple[str, list[ArtifactReport]], tmp_path: Path) -> Path:
    """An engine with its manifest, to load by the version that made it."""
    path = made[1][1].path
    assert path is not None
    return Path(shutil.copytree(path.parent, tmp_path / "engine")) / path.name

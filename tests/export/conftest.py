"""Engines that stand-ins for TensorRT made, shared by the tests of making and of running them."""

import shutil
from pathlib import Path

import pytest

from cuda_standin import export_engine, imitate
from srblocks_export.report import ArtifactReport
from tensorrt_standin import MAJORS, Standin


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

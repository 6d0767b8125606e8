"""Fake TensorRT of each version, and ONNX files to build engines from."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers import tensorrt_standin
from helpers.cuda_standin import small_network
from helpers.tensorrt_standin import MAJORS, Standin
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network

DYNAMIC: dict[str, Any] = {"minimum": (1, 1, 8, 8), "maximum": (2, 1, 24, 32)}
OPTIONS = {"fp32": DYNAMIC, "fp16": DYNAMIC | {"precision": "fp16"}, "fixed": {"shape": (1, 1, 8, 8)}}


@pytest.fixture(params=MAJORS)
def standin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Standin:
    return tensorrt_standin.install(monkeypatch, request.param)


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> Standin:
    return tensorrt_standin.install(monkeypatch, MAJORS[-1])


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """ONNX files, each in a folder with its manifest: two precisions with dynamic sizes, and one fixed shape."""
    folder = tmp_path_factory.mktemp("models")
    paths: dict[str, Path] = {}
    for name, options in OPTIONS.items():
        config = ExportConfig(formats=("onnx",), out=folder / name, verify="off", **options)
        (report,) = export_network(small_network(), config)
        assert report.path is not None, report.error
        paths[name] = report.path
    return paths


@pytest.fixture
def dynamic(models: dict[str, Path], tmp_path: Path) -> Path:
    return copy_model(models["fp32"], tmp_path)


@pytest.fixture
def fixed(models: dict[str, Path], tmp_path: Path) -> Path:
    return copy_model(models["fixed"], tmp_path)


def copy_model(model: Path, folder: Path) -> Path:
    """Copy a model and its manifest."""
    return Path(shutil.copytree(model.parent, folder / "model")) / model.name

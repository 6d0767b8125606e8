"""Fake torch_tensorrt of each version, and one program that several tests read."""

import shutil
from pathlib import Path

import pytest

from export.torch_trt.programs import HOST, Program, write_program
from helpers.torch_tensorrt_standin import VERSIONS, Standin, install
from srblocks_export.formats.torch_tensorrt import library as torch_trt


@pytest.fixture(params=VERSIONS)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Standin:
    return install_on_host(monkeypatch, request.param)


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> Standin:
    return install_on_host(monkeypatch, VERSIONS[-1])


@pytest.fixture(scope="session")
def _written(tmp_path_factory: pytest.TempPathFactory) -> Program:
    with pytest.MonkeyPatch.context() as monkeypatch:
        install_on_host(monkeypatch, VERSIONS[-1])
        return write_program(tmp_path_factory.mktemp("program"))


@pytest.fixture
def program(_written: Program, newest: Standin, tmp_path: Path) -> Program:
    """Copy of a program that the newest version compiled with default options."""
    return _written._replace(path=Path(shutil.copy(_written.path, tmp_path)))


def install_on_host(monkeypatch: pytest.MonkeyPatch, version: str) -> Standin:
    monkeypatch.setattr(torch_trt, "host_facts", lambda device: dict(HOST))
    return install(monkeypatch, version)

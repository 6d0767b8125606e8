"""Fake torch_tensorrt of each version, and one program that several tests read."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.export import ExportedProgram

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
def _default_build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, Standin]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        standin = install_on_host(monkeypatch, VERSIONS[-1])
        return write_program(tmp_path_factory.mktemp("program")), standin


@pytest.fixture
def default_build(_default_build: tuple[Program, Standin]) -> Standin:
    """Record of the build of `program`."""
    return _default_build[1]


@pytest.fixture
def program(_default_build: tuple[Program, Standin], newest: Standin, tmp_path: Path) -> Program:
    """Copy of a program that the newest version compiled with default options."""
    built = _default_build[0]
    return built._replace(path=Path(shutil.copy(built.path, tmp_path)))


@pytest.fixture(scope="session")
def _traced() -> Callable[..., ExportedProgram]:
    from srblocks_export.formats.torch_tensorrt import exporter  # imports torch._dynamo

    export = exporter.export_program
    programs: list[ExportedProgram] = []

    def export_once(*arguments: Any, **keywords: Any) -> ExportedProgram:
        if not programs:
            programs.append(export(*arguments, **keywords))
        return programs[0]

    return export_once


@pytest.fixture
def traced_once(_traced: Callable[..., ExportedProgram], monkeypatch: pytest.MonkeyPatch) -> None:
    """Share one traced program between builds of the default network, to save time."""
    monkeypatch.setattr("srblocks_export.formats.torch_tensorrt.exporter.export_program", _traced)


def install_on_host(monkeypatch: pytest.MonkeyPatch, version: str) -> Standin:
    monkeypatch.setattr(torch_trt, "host_facts", lambda device: dict(HOST))
    return install(monkeypatch, version)

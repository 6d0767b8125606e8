"""The stand-in for torch_tensorrt, of every version and of the newest."""

import pytest

from export.torch_trt.programs import HOST
from helpers.torch_tensorrt_standin import VERSIONS, Standin, install
from srblocks_export.formats.torch_tensorrt import library as torch_trt


@pytest.fixture(params=VERSIONS)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(torch_trt, "host_facts", lambda device: dict(HOST))
    return install(monkeypatch, request.param)


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(torch_trt, "host_facts", lambda device: dict(HOST))
    return install(monkeypatch, VERSIONS[-1])

"""The bundled network as an AOTInductor package."""

from pathlib import Path

import pytest

from srblocks import load_pretrained
from srblocks_export.export import export_network
from srblocks_export.request import ExportRequest
from srblocks_export.runtime import Artifact, load


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled network, exported and verified as users do it."""
    folder = tmp_path_factory.mktemp("exported")
    (report,) = export_network(load_pretrained("fsrcnn", scale=2), ExportRequest(formats=("aoti",), out=folder))
    assert report.error is None
    return folder


@pytest.fixture(scope="session")
def package(folder: Path) -> Path:
    return folder / "fsrcnn_x2_fp32_dyn.aoti.pt2"


@pytest.fixture(scope="session")
def artifact(package: Path) -> Artifact:
    return load(package)

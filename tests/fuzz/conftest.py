"""Fixtures of the fuzz tests."""

from pathlib import Path

import pytest

from helpers.support import PORTABLE, filled
from srblocks import create_network
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Valid artifacts by format."""
    folder = tmp_path_factory.mktemp("good")
    request = ExportConfig(formats=tuple(PORTABLE), out=folder, verify="off", name="net")
    export_network(filled(create_network("fsrcnn", scale=2, depth=1)), request)
    return {name: folder / f"net{FORMATS[name].suffix}" for name in PORTABLE}

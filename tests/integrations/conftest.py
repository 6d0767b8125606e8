"""Fixtures with srblocks installed in spandrel."""

from collections.abc import Callable
from typing import Any

import pytest

Install = Callable[..., None]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install srblocks in spandrel for one test; return `install`."""
    spandrel = pytest.importorskip("spandrel")
    from srblocks.integrations.spandrel import install

    loader = spandrel.ModelLoader
    monkeypatch.setattr(loader, "load_state_dict_from_file", loader.load_state_dict_from_file)
    for name, value in vars(spandrel.MAIN_REGISTRY).items():
        monkeypatch.setattr(spandrel.MAIN_REGISTRY, name, value)
    install()
    return install


@pytest.fixture(scope="module")
def extended_registry() -> Any:
    """Return a copy of spandrel's registry with the networks of srblocks."""
    spandrel = pytest.importorskip("spandrel")
    from srblocks.integrations.spandrel import install

    with pytest.MonkeyPatch.context() as patch:
        loader = spandrel.ModelLoader
        patch.setattr(loader, "load_state_dict_from_file", loader.load_state_dict_from_file)
        registry = spandrel.MAIN_REGISTRY.copy()
        install(registry)
    return registry

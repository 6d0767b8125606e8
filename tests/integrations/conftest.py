"""spandrel with our networks, for the length of a test."""

from collections.abc import Callable
from typing import Any

import pytest

Install = Callable[..., None]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install`, which leaves spandrel as it was when the test ends."""
    from spandrel import MAIN_REGISTRY, ModelLoader

    from srblocks.integrations.spandrel import install

    monkeypatch.setattr(ModelLoader, "load_state_dict_from_file", ModelLoader.load_state_dict_from_file)
    for name, value in vars(MAIN_REGISTRY).items():
        monkeypatch.setattr(MAIN_REGISTRY, name, value)
    install()
    return install


@pytest.fixture(scope="module")
def with_ours() -> Any:
    """A copy of spandrel's registry with our networks."""
    from spandrel import MAIN_REGISTRY, ModelLoader

    from srblocks.integrations.spandrel import install

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelLoader, "load_state_dict_from_file", ModelLoader.load_state_dict_from_file)
        registry = MAIN_REGISTRY.copy()
        install(registry)
    return registry

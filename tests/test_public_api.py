"""The public names are a promise: none disappears unnoticed, each is documented."""

import inspect

import pytest

import srblocks
from support import facts


def test_all_is_complete_and_without_duplicates() -> None:
    own = {name for name, value in vars(srblocks).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert set(srblocks.__all__) - {"__version__"} == own
    assert len(set(srblocks.__all__)) == len(srblocks.__all__)


def test_no_public_name_has_disappeared() -> None:
    assert sorted(srblocks.__all__) == facts("public_names.json")["srblocks"], "record new names there as well"


@pytest.mark.parametrize("name", [name for name in srblocks.__all__ if callable(getattr(srblocks, name))])
def test_every_public_name_is_documented(name: str) -> None:
    value = getattr(srblocks, name)
    text = inspect.getdoc(value) or ""
    assert len(text) > 20, name
    if inspect.isclass(value) and issubclass(value, srblocks.Network | srblocks.ResidualBlock):
        parameters = [p for p in inspect.signature(value.__init__).parameters if p not in ("self", "args", "kwargs")]
        assert [p for p in parameters if f"{p}:" not in text] == [], f"{name} says nothing of these arguments"

"""Networks by the registries of training frameworks: mmengine itself, and the calls of BasicSR's."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, Registry

from helpers.support import wave_image
from srblocks import create_network, list_networks, load_pretrained
from srblocks.integrations.registries import register
from srblocks.network import Network
from srblocks.registry import NetworkSpec

FORMS = ["basicsr", "lowered", "mmengine"]


class ByFunctionName:
    """The calls of BasicSR's registry, whose package no longer imports: keys are the names of what is registered."""

    def __init__(self, *, lowered: bool = False) -> None:
        self.lowered = lowered
        self.held: dict[str, Any] = {}

    def register(self, obj: Any = None, suffix: str | None = None) -> Any:
        assert obj is not None
        name = f"{obj.__name__}_{suffix}" if suffix else obj.__name__
        name = name.lower() if self.lowered else name
        assert name not in self.held, f"{name} was registered already"
        self.held[name] = obj
        return obj

    def __contains__(self, name: str) -> bool:
        return name in self.held

    def get(self, name: str) -> Any:
        return self.held[name]


def filled_registry(form: str) -> Any:
    registry = Registry(form, scope=form) if form == "mmengine" else ByFunctionName(lowered=form == "lowered")
    assert register(registry) == [f"srblocks_{name}" for name in list_networks()]
    return registry


@pytest.fixture(scope="module", params=FORMS)
def registry(request: pytest.FixtureRequest) -> Any:
    return filled_registry(request.param)


def build(registry: Any, options: dict[str, Any]) -> Network:
    """What the frameworks do with ``network_g`` or ``model``."""
    if isinstance(registry, Registry):
        return registry.build(options)
    arguments = dict(options)
    return registry.get(arguments.pop("type"))(**arguments)


def test_every_network_is_built_by_its_options(registry: Any, spec: NetworkSpec) -> None:
    scale = max(spec.scales)
    torch.manual_seed(5)
    ours = create_network(spec.name, scale=scale, **spec.reduced)
    torch.manual_seed(5)
    theirs = build(registry, {"type": f"srblocks_{spec.name}", "scale": scale, **spec.reduced})
    assert (type(theirs), theirs.config) == (type(ours), ours.config)
    expected = ours.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in theirs.state_dict().items())


def test_bundled_weights_are_an_option(registry: Any) -> None:
    net = build(registry, {"type": "srblocks_fsrcnn", "scale": 3, "pretrained": True})
    lr = wave_image((1, 1, 9, 8)).float()
    assert torch.equal(net(lr), load_pretrained("fsrcnn", scale=3)(lr))
    with pytest.raises(ValueError, match="srblocks_vdsr: no bundled weights for vdsr at scale 2"):
        build(registry, {"type": "srblocks_vdsr", "pretrained": True})


@pytest.mark.parametrize("form", FORMS)
def test_twice_adds_nothing_and_another_prefix_does(form: str) -> None:
    registry = filled_registry(form)
    held = {name: registry.get(f"srblocks_{name}") for name in list_networks()}
    assert register(registry) == [f"srblocks_{name}" for name in list_networks()]
    assert all(registry.get(f"srblocks_{name}") is build for name, build in held.items())
    assert "other_rcan" in register(registry, prefix="other_")
    assert build(registry, {"type": "other_espcn", "scale": 3}).scale == 3


@pytest.mark.parametrize("form", FORMS)
def test_a_name_that_something_else_has_is_refused_by_the_registry(form: str) -> None:
    def srblocks_rcan() -> None:
        pass

    registry = Registry(form, scope=form) if form == "mmengine" else ByFunctionName(lowered=form == "lowered")
    if form == "mmengine":
        registry.register_module(name="srblocks_rcan", module=srblocks_rcan)
    else:
        registry.register(srblocks_rcan)
    with pytest.raises((AssertionError, KeyError), match="srblocks_rcan .*registered"):
        register(registry)
    assert registry.get("srblocks_rcan") is srblocks_rcan


def test_a_new_network_is_added_to_registries_that_have_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("srblocks.integrations.mmengine")
    monkeypatch.setattr(MODELS, "_module_dict", dict(MODELS.module_dict))
    del MODELS.module_dict["srblocks_rcan"]
    assert register(MODELS) == [f"srblocks_{name}" for name in list_networks()]
    assert MODELS.build({"type": "srblocks_rcan", "scale": 2, "groups": 1, "blocks_per_group": 1}).scale == 2
    child = Registry("model", parent=MODELS, scope="srblocks_children")
    register(child)
    assert "srblocks_rcan" in child.module_dict


def test_what_is_no_registry_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a registry with register_module.*got {}"):
        register({})


def test_a_configuration_of_mmengine_imports_the_networks_itself(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text(
        'custom_imports = dict(imports=["srblocks.integrations.mmengine"], allow_failed_imports=False)\n'
        'model = dict(type="srblocks_rcan", scale=4, groups=2, blocks_per_group=1)\n'
        'branches = dict(type="srblocks_carn", scale=4, scales=[2, 4])\n'
    )
    config = Config.fromfile(file)
    net = MODELS.build(config.model)
    assert (net.scale, len(net.body)) == (4, 3)
    assert MODELS.build(config.branches).scales == (2, 4)
    child = Registry("model", parent=MODELS, scope="srblocks_tests")
    assert child.build({"type": "srblocks_espcn", "scale": 3}).scale == 3


def test_without_mmengine_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mmengine.registry", None)
    monkeypatch.delitem(sys.modules, "srblocks.integrations.mmengine", raising=False)
    with pytest.raises(
        ImportError, match=r'srblocks.integrations.mmengine requires mmengine; pip install "srblocks\[mmengine\]"'
    ):
        importlib.import_module("srblocks.integrations.mmengine")

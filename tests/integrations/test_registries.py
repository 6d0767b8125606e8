"""Networks in the registries of training frameworks: mmengine, and registries with BasicSR's interface."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.support import one_spec_per_class, wave_image
from srblocks import create_network, list_networks, load_pretrained
from srblocks.integrations.registries import register
from srblocks.network import Network

KINDS = ["basicsr", "lower_case", "mmengine"]


class FunctionRegistry:
    """Registry with BasicSR's interface (its package no longer imports): keys are the names of functions."""

    def __init__(self, *, lower_case: bool = False) -> None:
        self.lower_case = lower_case
        self.entries: dict[str, Any] = {}

    def register(self, obj: Any = None, suffix: str | None = None) -> Any:
        assert obj is not None
        name = f"{obj.__name__}_{suffix}" if suffix else obj.__name__
        name = name.lower() if self.lower_case else name
        assert name not in self.entries, f"{name} was registered already"
        self.entries[name] = obj
        return obj

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def get(self, name: str) -> Any:
        return self.entries[name]


def empty_registry(kind: str) -> Any:
    if kind == "mmengine":
        return pytest.importorskip("mmengine.registry").Registry(kind, scope=kind)
    return FunctionRegistry(lower_case=kind == "lower_case")


@pytest.fixture(params=KINDS)
def registry(request: pytest.FixtureRequest) -> Any:
    registry = empty_registry(request.param)
    assert register(registry) == [f"srblocks_{name}" for name in list_networks()]
    return registry


def build(registry: Any, options: dict[str, Any]) -> Network:
    """Build a network as the frameworks do from ``network_g`` or ``model``."""
    if not isinstance(registry, FunctionRegistry):
        return registry.build(options)
    arguments = dict(options)
    return registry.get(arguments.pop("type"))(**arguments)


def test_every_class_is_built_from_options(registry: Any) -> None:
    for spec in one_spec_per_class():
        with torch.device("meta"):
            scale = max(spec.scales)
            ours = create_network(spec.name, scale=scale, **spec.reduced)
            net = build(registry, {"type": f"srblocks_{spec.name}", "scale": scale, **spec.reduced})
        assert (type(net), net.config) == (type(ours), ours.config), spec.name


def test_initial_weights_equal_those_of_create_network(registry: Any) -> None:
    torch.manual_seed(5)
    expected = create_network("srresnet", scale=4, depth=1).state_dict()
    torch.manual_seed(5)
    state = build(registry, {"type": "srblocks_srresnet", "scale": 4, "depth": 1}).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in state.items())


def test_bundled_weights_are_an_option(registry: Any) -> None:
    net = build(registry, {"type": "srblocks_fsrcnn", "scale": 3, "pretrained": True})
    lr = wave_image((1, 1, 9, 8)).float()
    assert torch.equal(net(lr), load_pretrained("fsrcnn", scale=3)(lr))
    with pytest.raises(ValueError, match="srblocks_vdsr: no bundled weights for vdsr at scale 2"):
        build(registry, {"type": "srblocks_vdsr", "pretrained": True})


def test_registering_again_adds_only_other_prefixes(registry: Any) -> None:
    before = {name: registry.get(f"srblocks_{name}") for name in list_networks()}
    assert register(registry) == [f"srblocks_{name}" for name in list_networks()]
    assert all(registry.get(f"srblocks_{name}") is function for name, function in before.items())
    assert "other_rcan" in register(registry, prefix="other_")
    assert build(registry, {"type": "other_espcn", "scale": 3}).scale == 3


def test_name_clashes_raise_the_registrys_error() -> None:
    def srblocks_rcan() -> None:
        pass

    for kind in KINDS:
        registry = empty_registry(kind)
        if kind == "mmengine":
            registry.register_module(name="srblocks_rcan", module=srblocks_rcan)
        else:
            registry.register(srblocks_rcan)
        with pytest.raises((AssertionError, KeyError), match="srblocks_rcan .*registered"):
            register(registry)
        assert registry.get("srblocks_rcan") is srblocks_rcan, kind


def test_new_networks_are_added_to_registries_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    mmengine = pytest.importorskip("mmengine.registry")
    models = mmengine.MODELS
    importlib.import_module("srblocks.integrations.mmengine")
    monkeypatch.setattr(models, "_module_dict", dict(models.module_dict))
    del models.module_dict["srblocks_rcan"]
    assert register(models) == [f"srblocks_{name}" for name in list_networks()]
    assert models.build({"type": "srblocks_rcan", "scale": 2, "groups": 1, "blocks_per_group": 1}).scale == 2
    child = mmengine.Registry("model", parent=models, scope="srblocks_children")
    register(child)
    assert "srblocks_rcan" in child.module_dict


def test_other_objects_are_rejected() -> None:
    with pytest.raises(TypeError, match="expected a registry with register_module.*got {}"):
        register({})


def test_mmengine_configurations_import_the_networks(tmp_path: Path) -> None:
    mmengine = pytest.importorskip("mmengine.registry")
    models = mmengine.MODELS
    file = tmp_path / "config.py"
    file.write_text(
        'custom_imports = dict(imports=["srblocks.integrations.mmengine"], allow_failed_imports=False)\n'
        'model = dict(type="srblocks_rcan", scale=4, groups=2, blocks_per_group=1)\n'
        'branches = dict(type="srblocks_carn", scale=4, scales=[2, 4])\n'
    )
    config = importlib.import_module("mmengine.config").Config.fromfile(file)
    net = models.build(config.model)
    assert (net.scale, len(net.body)) == (4, 3)
    assert models.build(config.branches).scales == (2, 4)
    child = mmengine.Registry("model", parent=models, scope="srblocks_tests")
    assert child.build({"type": "srblocks_espcn", "scale": 3}).scale == 3


def test_missing_mmengine_is_reported_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mmengine.registry", None)
    monkeypatch.delitem(sys.modules, "srblocks.integrations.mmengine", raising=False)
    with pytest.raises(
        ImportError, match=r'srblocks.integrations.mmengine requires mmengine; pip install "srblocks\[mmengine\]"'
    ):
        importlib.import_module("srblocks.integrations.mmengine")

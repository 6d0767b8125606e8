"""timm creates every registered network as ``srblocks_<network>_x<scale>``."""

import copy
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.support import filled, one_spec_per_class, wave_image
from srblocks import create_network, list_pretrained, load_pretrained, save_checkpoint
from srblocks.networks import network_specs


@pytest.fixture(scope="module")
def timm() -> Any:
    timm = pytest.importorskip("timm")
    importlib.import_module("srblocks.integrations.timm")
    return timm


def test_every_network_is_listed_at_its_scales(timm: Any) -> None:
    integration = importlib.import_module("srblocks.integrations.timm")
    for spec in network_specs():
        names = timm.list_models(f"srblocks_{spec.name}_x*")
        assert {f"srblocks_{spec.name}_x{scale}" for scale in spec.scales} == set(names)
        assert all(timm.model_entrypoint(name) is getattr(integration, name) for name in names), spec.name


def test_every_network_is_built_at_its_scales(timm: Any) -> None:
    for spec in network_specs():
        scales = spec.scales if spec in one_spec_per_class() else (max(spec.scales),)
        for scale in scales:
            name = f"srblocks_{spec.name}_x{scale}"
            with torch.device("meta"):
                ours = create_network(spec.name, scale=scale, **spec.reduced)
                net = timm.create_model(name, **spec.reduced)
            assert (type(net), net.config, net.training) == (type(ours), ours.config, True), name


def test_initial_weights_equal_those_of_create_network(timm: Any) -> None:
    torch.manual_seed(3)
    expected = create_network("srresnet", scale=4, depth=1).state_dict()
    torch.manual_seed(3)
    state = timm.create_model("srblocks_srresnet_x4", depth=1).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in state.items())


def test_bundled_weights_are_listed_and_load(timm: Any) -> None:
    names = timm.list_models("srblocks_*", pretrained=True)
    assert names == [f"srblocks_{stem}" for stem in list_pretrained()]
    lr = wave_image((1, 1, 9, 11)).float()
    for name, stem in zip(names, list_pretrained(), strict=True):
        network, _, scale = stem.rpartition("_x")
        net = timm.create_model(name, pretrained=True, cache_dir="anywhere")
        assert torch.equal(net.eval()(lr), load_pretrained(network, scale=int(scale))(lr)), name


def test_missing_bundled_weights_are_an_error(timm: Any) -> None:
    message = "srblocks_rcan_x4: no bundled weights for rcan at scale 4 .available: fsrcnn_x2, .* pass weights=FILE"
    with pytest.raises(ValueError, match=message):
        timm.create_model("srblocks_rcan_x4", pretrained=True)


def test_pretrained_cannot_be_combined_with_pretrained_cfg(timm: Any) -> None:
    for argument in ("pretrained_cfg", "pretrained_cfg_overlay"):
        arguments = {argument: {"file": "a.pth"}}
        with pytest.raises(
            ValueError, match="srblocks_fsrcnn_x2: .* cannot be combined with pretrained_cfg; pass weights=FILE"
        ):
            timm.create_model("srblocks_fsrcnn_x2", pretrained=True, **arguments)
        assert timm.create_model("srblocks_fsrcnn_x2", **arguments).scale == 2


@pytest.mark.parametrize("argument", ["checkpoint_path", "weights"])
def test_saved_files_load(timm: Any, argument: str, tmp_path: Path) -> None:
    net = filled(create_network("edsr_baseline", scale=3, depth=1))
    save_checkpoint(net, tmp_path / "edsr.safetensors")
    loaded = timm.create_model("srblocks_edsr_baseline_x3", depth=1, **{argument: tmp_path / "edsr.safetensors"})
    lr = wave_image((1, 3, 8, 7)).float()
    assert torch.equal(loaded(lr), net(lr))
    with pytest.raises((RuntimeError, ValueError)):
        timm.create_model("srblocks_edsr_baseline_x2", depth=1, **{argument: tmp_path / "edsr.safetensors"})


def test_arguments_of_classifiers_are_rejected(timm: Any) -> None:
    with pytest.raises(TypeError, match="num_classes"):
        timm.create_model("srblocks_espcn_x2", num_classes=10)


def test_networks_can_be_scripted_and_copied(timm: Any) -> None:
    for scriptable in (True, None):
        net = timm.create_model("srblocks_rcan_x2", groups=1, blocks_per_group=1, scriptable=scriptable).eval()
        lr = wave_image((2, 3, 7, 9)).float()
        with torch.no_grad():
            torch.testing.assert_close(torch.jit.script(net)(lr), net(lr))
            assert torch.equal(copy.deepcopy(net)(lr), net(lr))


def test_missing_timm_is_reported_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm.models", None)
    monkeypatch.delitem(sys.modules, "srblocks.integrations.timm", raising=False)
    with pytest.raises(ImportError, match=r'srblocks.integrations.timm requires timm; pip install "srblocks\[timm\]"'):
        importlib.import_module("srblocks.integrations.timm")

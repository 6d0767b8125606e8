"""timm creates every network of the registry under ``srblocks_<network>_x<scale>``."""

import copy
import importlib
import sys
from pathlib import Path

import pytest
import timm
import torch

import srblocks.integrations.timm as integration
from helpers.support import filled, wave_image
from srblocks import create_network, list_pretrained, load_pretrained, save_checkpoint
from srblocks.registry import NetworkSpec


def test_timm_knows_every_network_and_scale(spec: NetworkSpec) -> None:
    names = timm.list_models(f"srblocks_{spec.name}_x*")
    assert {f"srblocks_{spec.name}_x{scale}" for scale in spec.scales} == set(names)
    assert all(timm.model_entrypoint(name) is getattr(integration, name) for name in names)


def test_timm_builds_what_create_network_builds(spec: NetworkSpec, scale: int) -> None:
    torch.manual_seed(3)
    ours = create_network(spec.name, scale=scale, **spec.reduced)
    torch.manual_seed(3)
    theirs = timm.create_model(f"srblocks_{spec.name}_x{scale}", **spec.reduced)
    assert type(theirs) is type(ours)
    assert theirs.config == ours.config
    assert theirs.training
    expected = ours.state_dict()
    assert theirs.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in theirs.state_dict().items())


def test_timm_lists_the_bundled_weights_and_loads_them() -> None:
    names = timm.list_models("srblocks_*", pretrained=True)
    assert names == [f"srblocks_{stem}" for stem in list_pretrained()]
    lr = wave_image((1, 1, 9, 11)).float()
    for name, stem in zip(names, list_pretrained(), strict=True):
        network, _, scale = stem.rpartition("_x")
        net = timm.create_model(name, pretrained=True, cache_dir="anywhere")
        assert torch.equal(net.eval()(lr), load_pretrained(network, scale=int(scale))(lr))


def test_weights_that_are_not_bundled_are_named() -> None:
    message = "srblocks_rcan_x4: no bundled weights for rcan at scale 4 .available: fsrcnn_x2, .* pass weights=FILE"
    with pytest.raises(ValueError, match=message):
        timm.create_model("srblocks_rcan_x4", pretrained=True)


@pytest.mark.parametrize(
    "arguments", [{"pretrained_cfg": {"file": "a.pth"}}, {"pretrained_cfg_overlay": {"file": "a.pth"}}]
)
def test_weights_of_a_pretrained_cfg_are_not_passed_over_in_silence(arguments: dict) -> None:
    with pytest.raises(
        ValueError, match="srblocks_fsrcnn_x2: .* cannot be combined with pretrained_cfg; pass weights=FILE"
    ):
        timm.create_model("srblocks_fsrcnn_x2", pretrained=True, **arguments)
    assert timm.create_model("srblocks_fsrcnn_x2", **arguments).scale == 2


@pytest.mark.parametrize("argument", ["checkpoint_path", "weights"])
def test_a_saved_file_loads_by_timms_argument_and_by_ours(argument: str, tmp_path: Path) -> None:
    net = filled(create_network("edsr_baseline", scale=3, depth=1))
    save_checkpoint(net, tmp_path / "edsr.safetensors")
    found = timm.create_model("srblocks_edsr_baseline_x3", depth=1, **{argument: tmp_path / "edsr.safetensors"})
    lr = wave_image((1, 3, 8, 7)).float()
    assert torch.equal(found(lr), net(lr))
    with pytest.raises((RuntimeError, ValueError)):
        timm.create_model("srblocks_edsr_baseline_x2", depth=1, **{argument: tmp_path / "edsr.safetensors"})


def test_arguments_of_classifiers_are_refused() -> None:
    with pytest.raises(TypeError, match="num_classes"):
        timm.create_model("srblocks_espcn_x2", num_classes=10)


@pytest.mark.parametrize("scriptable", [True, None])
def test_a_network_of_timm_scripts_and_copies(scriptable: bool | None) -> None:
    net = timm.create_model("srblocks_rcan_x2", groups=1, blocks_per_group=1, scriptable=scriptable).eval()
    lr = wave_image((2, 3, 7, 9)).float()
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(net)(lr), net(lr))
        assert torch.equal(copy.deepcopy(net)(lr), net(lr))


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm.models", None)
    monkeypatch.delitem(sys.modules, "srblocks.integrations.timm", raising=False)
    with pytest.raises(ImportError, match=r'srblocks.integrations.timm requires timm; pip install "srblocks\[timm\]"'):
        importlib.import_module("srblocks.integrations.timm")

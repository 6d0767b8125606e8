"""Networks as repositories on the Hugging Face Hub, without a network connection."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import HfApi, ModelCard
from safetensors.torch import save_file

from helpers.small_networks import narrow_arguments
from helpers.support import filled, one_spec_per_class, wave_image
from integrations.hub_networks import First, same_tensors, small
from srblocks import OnLuma, OnYCbCr, create_network, load_checkpoint
from srblocks.checkpoints import CheckpointError
from srblocks.integrations.hub import from_pretrained, push_to_hub, save_pretrained
from srblocks.networks import network_name
from srblocks.registry import UnknownNetworkError


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def test_every_class_loads_from_its_folder(tmp_path: Path) -> None:
    for spec in one_spec_per_class():
        scale = None if "scales" in spec.arguments() else max(spec.scales)
        net = create_network(spec.name, scale=scale, **{**spec.reduced, **narrow_arguments(spec)})
        folder = tmp_path / spec.name
        save_pretrained(net, folder)
        loaded = from_pretrained(folder)
        assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
        assert (type(loaded), loaded.config, loaded.scales) == (type(net), net.config, net.scales)
        assert not loaded.training
        assert same_tensors(loaded, net), spec.name
        config = json.loads((folder / "config.json").read_text())
        assert (config["network"], config["config"]) == (network_name(net), net.config)
        checkpoint = load_checkpoint(folder / "model.safetensors")
        assert checkpoint.config == net.config
        assert same_tensors(checkpoint, net), spec.name


@pytest.mark.parametrize(
    "wrap,name,arguments",
    [(OnLuma, "fsrcnn", {"scale": 3}), (OnYCbCr, "espcn", {"image_channels": 3, "color": "ycbcr"})],
)
def test_color_wrappers_are_restored(wrap: type, name: str, arguments: dict, tmp_path: Path) -> None:
    net = wrap(filled(create_network(name, **arguments)))
    save_pretrained(net, tmp_path)
    loaded = from_pretrained(tmp_path)
    lr = wave_image((1, 3, 8, 9)).float()
    assert type(loaded) is wrap
    assert torch.equal(loaded(lr), net(lr))
    assert load_checkpoint(tmp_path / "model.safetensors").image_channels == net.net.image_channels


def test_multi_scale_weights_load_at_the_requested_scale(tmp_path: Path) -> None:
    pre_upsampling = filled(create_network("srcnn", scale=2))
    save_pretrained(pre_upsampling, tmp_path / "srcnn")
    assert from_pretrained(tmp_path / "srcnn", scale=4).scale == 4
    save_pretrained(create_network("carn", width=8, groups=1), tmp_path / "carn")
    assert from_pretrained(tmp_path / "carn", scale=3).scales == (3,)
    save_pretrained(small(), tmp_path / "edsr")
    with pytest.raises(CheckpointError, match="weights of edsr.* not 2"):
        from_pretrained(tmp_path / "edsr", scale=2)


@torch.no_grad()
def test_loaded_networks_can_be_scripted_and_exported(tmp_path: Path) -> None:
    save_pretrained(small(), tmp_path / "a")
    First(scale=3, depth=1, width=8).save_pretrained(tmp_path / "b")
    lr = wave_image((2, 3, 8, 7)).float()
    sides = {2: torch.export.Dim("h", min=4, max=64), 3: torch.export.Dim("w", min=4, max=64)}
    for net in (from_pretrained(tmp_path / "a"), First.from_pretrained(tmp_path / "b")):
        torch.testing.assert_close(torch.jit.script(net)(lr), net(lr))
        exported = torch.export.export(net, (torch.rand(2, 3, 12, 10),), dynamic_shapes=(sides,))
        torch.testing.assert_close(exported.module()(lr), net(lr))


def test_repositories_load_from_the_cache_at_a_revision(tmp_path: Path) -> None:
    repository = tmp_path / "models--me--edsr"
    nets = {"1" * 40: small(), "2" * 40: small(width=12)}
    for commit, net in nets.items():
        save_pretrained(net, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("2" * 40)
    assert same_tensors(from_pretrained("me/edsr", cache_dir=tmp_path), nets["2" * 40])
    assert same_tensors(from_pretrained("me/edsr", cache_dir=tmp_path, revision="1" * 40), nets["1" * 40])
    assert same_tensors(First.from_pretrained("me/edsr", cache_dir=tmp_path), nets["2" * 40])
    with pytest.raises(FileNotFoundError, match="HF_HUB_OFFLINE"):
        from_pretrained("me/another", cache_dir=tmp_path)


def test_save_pretrained_writes_a_model_card(tmp_path: Path) -> None:
    save_pretrained(small(), tmp_path / "mine", license="mit", datasets=["me/photographs"])
    card = ModelCard.load(tmp_path / "mine" / "README.md")
    assert card.data.to_dict() == {
        "library_name": "srblocks",
        "pipeline_tag": "image-to-image",
        "tags": ["super-resolution"],
        "license": "mit",
        "datasets": ["me/photographs"],
    }
    assert "# edsr_baseline, x3\n\nLim et al., CVPRW 2017" in card.text
    assert "of rgb images, `(N, 3, H, W) -> (N, 3, 3 H, 3 W)`, with values in [0, 1]" in card.text
    assert 'from_pretrained("mine")' in card.text
    card.text = "Edited by hand.\n"
    card.save(tmp_path / "mine" / "README.md")
    save_pretrained(small(), tmp_path / "mine")
    assert "Edited by hand." in (tmp_path / "mine" / "README.md").read_text()


@pytest.mark.parametrize("has_card", [False, True])
def test_push_to_hub_creates_the_repository_and_keeps_its_card(has_card: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, Any] = {}

    def create_repo(self: HfApi, repo_id: str, **arguments: Any) -> Any:
        calls["created"] = (repo_id, arguments)
        return huggingface_hub.RepoUrl(f"https://huggingface.co/me/{repo_id.rpartition('/')[2]}")

    def upload_folder(self: HfApi, *, folder_path: str, **arguments: Any) -> Any:
        calls["uploaded"] = arguments
        calls["net"] = from_pretrained(folder_path)
        calls["card"] = (Path(folder_path) / "README.md").read_text()
        return huggingface_hub.CommitInfo(
            commit_url="https://huggingface.co/me/edsr/commit/1", commit_message="", commit_description="", oid="1"
        )

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "file_exists", lambda self, repo_id, filename: has_card and filename == "README.md")
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    net = small()
    assert push_to_hub(net, "edsr", private=True, license="mit") == "https://huggingface.co/me/edsr/commit/1"
    assert calls["created"] == ("edsr", {"private": True, "exist_ok": True})
    assert calls["uploaded"]["repo_id"] == "me/edsr"
    assert calls["uploaded"]["ignore_patterns"] == (["README.md"] if has_card else [])
    assert same_tensors(calls["net"], net)
    assert "license: mit" in calls["card"]
    with pytest.raises(CheckpointError, match="First is not a registered network"):
        First(depth=1, width=8).push_to_hub("me/first", message="Retrained")
    assert calls["uploaded"]["commit_message"] == "Retrained"


def test_config_json_describes_weights_without_metadata(tmp_path: Path) -> None:
    for net in (filled(create_network("fsrcnn", scale=3)), filled(create_network("carn", width=8, groups=1))):
        save_pretrained(net, tmp_path)
        save_file(net.state_dict(), tmp_path / "model.safetensors")
        loaded = from_pretrained(tmp_path)
        assert (loaded.config, loaded.scales) == (net.config, net.scales)
        assert same_tensors(loaded, net)


def test_invalid_configurations_are_rejected(tmp_path: Path) -> None:
    save_pretrained(small(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, error, message in (
        ({"network": "edzr"}, UnknownNetworkError, "did you mean edsr"),
        ({"network": ["edsr"]}, UnknownNetworkError, "unknown network"),
        ({"config": {"depth": 2}}, CheckpointError, "depth=1 instead of 2"),
        ({"config": {"n_feats": 2}}, CheckpointError, "config.json does not fit edsr_baseline .*n_feats"),
        ({"config": {"path": 2}}, CheckpointError, "config.json does not fit edsr_baseline .*path"),
        ({"config": {"scales": 2}}, CheckpointError, "config.json does not fit edsr_baseline"),
        ({"config": {"scale": 2}}, CheckpointError, "not 2"),
        ({"config": [1]}, CheckpointError, "config.json was not written by srblocks; use save_pretrained"),
        (
            {"color": "bgr"},
            CheckpointError,
            "config.json has color='bgr', but the network works on rgb; set it to rgb$",
        ),
        ({"color": "y"}, CheckpointError, "config.json has color='y', but the network works on rgb"),
        ({"color": ["rgb"]}, CheckpointError, r"config.json has color=\['rgb'\]"),
        ({"color": None}, CheckpointError, "config.json has color=None"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(error, match=message):
            from_pretrained(tmp_path)


def test_configurations_of_other_libraries_are_reported(tmp_path: Path) -> None:
    save_pretrained(small(), tmp_path)
    for text in ("", "[]", '{"architectures": ["Swin2SR"]}', "[" * 100_000):
        (tmp_path / "config.json").write_text(text)
        for load in (from_pretrained, First.from_pretrained):
            with pytest.raises(CheckpointError, match="config.json was not written by srblocks"):
                load(tmp_path)


def test_only_safetensors_files_are_read(tmp_path: Path) -> None:
    save_pretrained(small(), tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        from_pretrained(tmp_path)


def test_misspelled_arguments_are_rejected_for_folders(tmp_path: Path) -> None:
    save_pretrained(small(), tmp_path)
    with pytest.raises(TypeError, match="revison"):
        from_pretrained(tmp_path, revison="main")


def test_missing_huggingface_hub_is_reported_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "srblocks.integrations.hub")
    with pytest.raises(ImportError, match=r'requires huggingface_hub; pip install "srblocks\[hub\]"'):
        importlib.import_module("srblocks.integrations.hub")

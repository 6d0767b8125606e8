"""Networks as repositories of the Hugging Face hub, without a network connection."""

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

from helpers.support import filled, wave_image
from integrations.hub_networks import First, same_tensors, small
from srblocks import OnLuma, OnYCbCr, create_network, load_checkpoint
from srblocks.checkpoints import CheckpointError
from srblocks.integrations.hub import from_pretrained, push_to_hub, save_pretrained
from srblocks.networks import network_name
from srblocks.registry import NetworkSpec, UnknownNetworkError


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.one_of_each_class
def test_every_network_comes_back_from_its_folder(spec: NetworkSpec, tmp_path: Path) -> None:
    scale = None if "scales" in spec.arguments() else max(spec.scales)
    net = create_network(spec.name, scale=scale, **spec.reduced)
    save_pretrained(net, tmp_path / "net")
    found = from_pretrained(tmp_path / "net")
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert (type(found), found.config, found.scales, found.training) == (type(net), net.config, net.scales, False)
    assert same_tensors(found, net)
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    assert (config["network"], config["config"]) == (network_name(net), net.config)
    ours = load_checkpoint(tmp_path / "net" / "model.safetensors")
    assert ours.config == net.config
    assert same_tensors(ours, net)


@pytest.mark.parametrize(
    "wrap,name,arguments",
    [(OnLuma, "fsrcnn", {"scale": 3}), (OnYCbCr, "espcn", {"image_channels": 3, "color": "ycbcr"})],
)
def test_a_network_for_rgb_images_comes_back_as_one(wrap: type, name: str, arguments: dict, tmp_path: Path) -> None:
    net = wrap(filled(create_network(name, **arguments)))
    save_pretrained(net, tmp_path)
    found = from_pretrained(tmp_path)
    lr = wave_image((1, 3, 8, 9)).float()
    assert type(found) is wrap
    assert torch.equal(found(lr), net(lr))
    assert load_checkpoint(tmp_path / "model.safetensors").image_channels == net.net.image_channels


def test_weights_that_serve_several_scales_come_at_the_one_asked_for(tmp_path: Path) -> None:
    before_enlargement = filled(create_network("srcnn", scale=2))
    save_pretrained(before_enlargement, tmp_path / "srcnn")
    assert from_pretrained(tmp_path / "srcnn", scale=4).scale == 4
    save_pretrained(create_network("carn", width=8, groups=1), tmp_path / "carn")
    assert from_pretrained(tmp_path / "carn", scale=3).scales == (3,)
    save_pretrained(small(), tmp_path / "edsr")
    with pytest.raises(CheckpointError, match="weights of edsr.* not 2"):
        from_pretrained(tmp_path / "edsr", scale=2)


@torch.no_grad()
def test_what_comes_back_scripts_and_exports(tmp_path: Path) -> None:
    save_pretrained(small(), tmp_path / "a")
    First(scale=3, depth=1, width=8).save_pretrained(tmp_path / "b")
    lr = wave_image((2, 3, 8, 7)).float()
    sides = {2: torch.export.Dim("h", min=4, max=64), 3: torch.export.Dim("w", min=4, max=64)}
    for net in (from_pretrained(tmp_path / "a"), First.from_pretrained(tmp_path / "b")):
        torch.testing.assert_close(torch.jit.script(net)(lr), net(lr))
        exported = torch.export.export(net, (torch.rand(2, 3, 12, 10),), dynamic_shapes=(sides,))
        torch.testing.assert_close(exported.module()(lr), net(lr))


def test_a_repository_comes_from_the_cache_at_its_revision(tmp_path: Path) -> None:
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


def test_the_card_is_one_for_the_hub(tmp_path: Path) -> None:
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
    card.text = "My own words.\n"
    card.save(tmp_path / "mine" / "README.md")
    save_pretrained(small(), tmp_path / "mine")
    assert "My own words." in (tmp_path / "mine" / "README.md").read_text()


@pytest.mark.parametrize("written", [False, True])
def test_an_upload_makes_the_repository_and_keeps_its_card(written: bool, monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setattr(HfApi, "file_exists", lambda self, repo_id, filename: written and filename == "README.md")
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    net = small()
    assert push_to_hub(net, "edsr", private=True, license="mit") == "https://huggingface.co/me/edsr/commit/1"
    assert calls["created"] == ("edsr", {"private": True, "exist_ok": True})
    assert calls["uploaded"]["repo_id"] == "me/edsr"
    assert calls["uploaded"]["ignore_patterns"] == (["README.md"] if written else [])
    assert same_tensors(calls["net"], net)
    assert "license: mit" in calls["card"]
    with pytest.raises(CheckpointError, match="First is not a registered network"):
        First(depth=1, width=8).push_to_hub("me/first", message="second thoughts")
    assert calls["uploaded"]["commit_message"] == "second thoughts"


def test_a_file_without_configuration_is_read_by_that_of_the_folder(tmp_path: Path) -> None:
    for net in (filled(create_network("fsrcnn", scale=3)), filled(create_network("carn", width=8, groups=1))):
        save_pretrained(net, tmp_path)
        save_file(net.state_dict(), tmp_path / "model.safetensors")
        found = from_pretrained(tmp_path)
        assert (found.config, found.scales) == (net.config, net.scales)
        assert same_tensors(found, net)


@pytest.mark.parametrize(
    "change,error,message",
    [
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
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    change: dict, error: type[Exception], message: str, tmp_path: Path
) -> None:
    save_pretrained(small(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(error, match=message):
        from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"architectures": ["Swin2SR"]}', "[" * 100_000])
def test_a_configuration_of_another_library_is_named_as_such(text: str, tmp_path: Path) -> None:
    save_pretrained(small(), tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="config.json was not written by srblocks"):
        from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="config.json was not written by srblocks"):
        First.from_pretrained(tmp_path)


def test_only_safetensors_are_read(tmp_path: Path) -> None:
    save_pretrained(small(), tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        from_pretrained(tmp_path)


def test_a_misspelt_argument_is_refused_for_folders_too(tmp_path: Path) -> None:
    save_pretrained(small(), tmp_path)
    with pytest.raises(TypeError, match="revison"):
        from_pretrained(tmp_path, revison="main")


def test_without_huggingface_hub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "srblocks.integrations.hub")
    with pytest.raises(ImportError, match=r'requires huggingface_hub; pip install "srblocks\[hub\]"'):
        importlib.import_module("srblocks.integrations.hub")

"""``torch.hub`` finds every network through hubconf.py."""

import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from helpers.support import REPOSITORY, wave_image
from srblocks import create_network, list_networks, load_pretrained
from srblocks.registry import NetworkSpec

DOWNLOADED = "owner/srblocks:main"


@pytest.fixture
def downloaded(tmp_path: Path) -> Iterator[str]:
    """The repository where torch.hub keeps what it has downloaded."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path))
    (tmp_path / "owner_srblocks_main").symlink_to(REPOSITORY, target_is_directory=True)
    yield DOWNLOADED
    torch.hub.set_dir(before)


def test_the_entry_points_are_the_networks(downloaded: str) -> None:
    assert torch.hub.list(downloaded, trust_repo=True, verbose=False) == list_networks()


def test_help_names_paper_scales_and_arguments(downloaded: str) -> None:
    text = torch.hub.help(downloaded, "fsrcnn", trust_repo=True)
    assert text.startswith(
        "FSRCNN: feature extraction, shrinking, mapping, expanding, deconvolution.\n\nDong et al., ECCV 2016"
    )
    assert "scale: upscaling factor, one of 2, 3, 4; default: the smallest" in text
    assert "bundled weights (x2, x3, x4)" in text
    assert "width=56" in text


def test_a_clone_says_the_same_without_the_hub(downloaded: str) -> None:
    for ask in (torch.hub.list, torch.hub.help):  # docs/integrations.md says so
        assert "source" not in inspect.signature(ask).parameters
    code = "import hubconf; help(hubconf.fsrcnn)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120
    )
    shown = [line.strip() for line in found.stdout.splitlines()]
    told = torch.hub.help(downloaded, "fsrcnn", trust_repo=True)
    assert told is not None
    assert {line.strip() for line in told.splitlines()} <= set(shown)


def test_every_network_loads(spec: NetworkSpec) -> None:
    scale = max(spec.scales)
    torch.manual_seed(7)
    ours = create_network(spec.name, scale=scale, **spec.reduced)
    torch.manual_seed(7)
    theirs = torch.hub.load(str(REPOSITORY), spec.name, source="local", scale=scale, **spec.reduced)
    assert (type(theirs), theirs.config) == (type(ours), ours.config)
    expected = ours.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in theirs.state_dict().items())


def test_weights_are_bundled_or_missed_by_name() -> None:
    net = torch.hub.load(str(REPOSITORY), "fsrcnn", source="local", pretrained=True)
    lr = wave_image((1, 1, 9, 8)).float()
    assert torch.equal(net(lr), load_pretrained("fsrcnn", scale=2)(lr))
    with pytest.raises(ValueError, match="no bundled weights for edsr at scale 4"):
        torch.hub.load(str(REPOSITORY), "edsr", source="local", scale=4, pretrained=True)
    with pytest.raises(RuntimeError, match="Cannot find callable alexnet"):
        torch.hub.load(str(REPOSITORY), "alexnet", source="local")


def test_the_folder_alone_is_enough(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    shutil.copytree(REPOSITORY / "srblocks", folder / "srblocks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "hubconf.py", folder)
    code = (
        "import sys, torch; net = torch.hub.load(sys.argv[1], 'fsrcnn', source='local', scale=4, pretrained=True); "
        "print(net.scale, sys.modules['srblocks'].__file__)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.split() == ["4", str(folder / "srblocks" / "__init__.py")]

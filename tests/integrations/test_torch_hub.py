"""``torch.hub`` loads every network through hubconf.py."""

import importlib.util
import inspect
import pydoc
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from helpers.support import REPOSITORY, one_spec_per_class, wave_image
from srblocks import create_network, list_networks, load_pretrained

DOWNLOADED = "owner/srblocks:main"


@pytest.fixture
def downloaded(tmp_path: Path) -> Iterator[str]:
    """Place the repository where torch.hub keeps its downloads."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path))
    (tmp_path / "owner_srblocks_main").symlink_to(REPOSITORY, target_is_directory=True)
    yield DOWNLOADED
    torch.hub.set_dir(before)


def test_entry_points_are_the_registered_networks(downloaded: str) -> None:
    assert torch.hub.list(downloaded, trust_repo=True, verbose=False) == list_networks()


def test_help_describes_paper_scales_and_arguments(downloaded: str) -> None:
    text = torch.hub.help(downloaded, "fsrcnn", trust_repo=True)
    assert text.startswith(
        "FSRCNN: feature extraction, shrinking, mapping, expanding, deconvolution.\n\nDong et al., ECCV 2016"
    )
    assert "scale: upscaling factor, one of 2, 3, 4; default: the smallest" in text
    assert "bundled weights (x2, x3, x4)" in text
    assert "width=56" in text


def test_help_of_a_clone_equals_that_of_the_hub(downloaded: str) -> None:
    for function in (torch.hub.list, torch.hub.help):  # docs/integrations.md relies on it
        assert "source" not in inspect.signature(function).parameters
    module = importlib.util.spec_from_file_location("cloned_hubconf", REPOSITORY / "hubconf.py")
    assert module is not None
    assert module.loader is not None
    hubconf = importlib.util.module_from_spec(module)
    module.loader.exec_module(hubconf)
    lines = [line.strip() for line in pydoc.plaintext.document(hubconf.fsrcnn).splitlines()]
    text = torch.hub.help(downloaded, "fsrcnn", trust_repo=True)
    assert text is not None
    assert {line.strip() for line in text.splitlines()} <= set(lines)


def test_every_class_loads() -> None:
    for spec in one_spec_per_class():
        with torch.device("meta"):
            scale = max(spec.scales)
            ours = create_network(spec.name, scale=scale, **spec.reduced)
            net = torch.hub.load(str(REPOSITORY), spec.name, source="local", scale=scale, **spec.reduced)
        assert (type(net), net.config) == (type(ours), ours.config), spec.name


def test_initial_weights_equal_those_of_create_network() -> None:
    torch.manual_seed(7)
    expected = create_network("srresnet", scale=4, depth=1).state_dict()
    torch.manual_seed(7)
    state = torch.hub.load(str(REPOSITORY), "srresnet", source="local", scale=4, depth=1).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in state.items())


def test_bundled_weights_load_and_missing_ones_are_an_error() -> None:
    net = torch.hub.load(str(REPOSITORY), "fsrcnn", source="local", pretrained=True)
    lr = wave_image((1, 1, 9, 8)).float()
    assert torch.equal(net(lr), load_pretrained("fsrcnn", scale=2)(lr))
    with pytest.raises(ValueError, match="no bundled weights for edsr at scale 4"):
        torch.hub.load(str(REPOSITORY), "edsr", source="local", scale=4, pretrained=True)
    with pytest.raises(RuntimeError, match="Cannot find callable alexnet"):
        torch.hub.load(str(REPOSITORY), "alexnet", source="local")


def test_the_package_folder_and_hubconf_suffice(tmp_path: Path) -> None:
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

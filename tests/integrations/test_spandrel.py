"""Networks of srblocks in spandrel's own loader."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.small_networks import narrow_arguments
from helpers.support import REPOSITORY, relative_error, trained_alike
from integrations.spandrel_models import architecture_id, assert_same, load, load_state, random_image, save
from srblocks import create_network, integrations, list_pretrained, load_checkpoint, on_rgb
from srblocks.checkpoints import CheckpointError
from srblocks.networks import network_name, network_spec
from srblocks.precision.measured import LIMITED_IN_BF16, MEASURED_IN_FP16
from srblocks.pretrained import pretrained_path
from srblocks.registry import NetworkSpec

Install = Callable[..., None]
PUBLISHED = {
    "carn_m.pth": ("CARN", 4),
    "converted_drcn_jiny2001.pth": ("DRCN", 2),
    "converted_lapsrn_twtygqyy.pth": ("LapSRN", 4),
    "converted_vdsr_twtygqyy.pth": ("VDSR", 2),
    "espcn_NhatThanh_x3.pt": ("ESPCN", 3),
    "srcnn_NhatThanh_955.pt": ("SRCNN", 2),
    "srgan_leftthomas_netG_epoch_2_100_a.pth": ("SRResNet", 2),
    "srgan_leftthomas_netG_epoch_4_100_a.pth": ("SRResNet", 4),
}


@pytest.mark.one_of_each_class
def test_every_network_loads(installed: Install, spec: NetworkSpec, tmp_path: Path) -> None:
    from spandrel import ImageModelDescriptor, ModelTiling, UnsupportedDtypeError

    arguments = {**spec.reduced, **narrow_arguments(spec)}
    net = trained_alike(create_network(spec.name, scale=max(spec.scales), **arguments), 0.5)
    descriptor = load(save(net, tmp_path))
    assert isinstance(descriptor, ImageModelDescriptor)
    assert_same(descriptor, net)
    assert descriptor.architecture.id == architecture_id(spec.name)
    assert descriptor.architecture.name == spec.constructor[0].__name__
    assert descriptor.tags[0] == network_name(net)
    assert descriptor.purpose == "SR"
    assert not descriptor.model.training

    rgb = on_rgb(net)
    assert descriptor.size_requirements.minimum >= rgb.min_size
    assert descriptor.size_requirements.multiple_of == rgb.size_multiple
    height, width = 1, rgb.min_size + 1
    assert descriptor(torch.rand(1, 3, height, width)).shape == (1, 3, net.scale * height, net.scale * width)

    limited = spec.size_requirements[net.scale].radius is None
    assert descriptor.tiling == (ModelTiling.DISCOURAGED if limited else ModelTiling.SUPPORTED)

    lr = random_image(rgb)
    reference = descriptor(lr)
    if descriptor.supports_bfloat16:
        tolerance = 0.6 if spec.name.startswith("span_") else 0.25  # its gates amplify rounding for random weights
        assert relative_error(descriptor.bfloat16()(lr.bfloat16()).float(), reference) < tolerance
    else:
        with pytest.raises(UnsupportedDtypeError):
            descriptor.bfloat16()


def test_bundled_weights_load(installed: Install) -> None:
    for name in list_pretrained():
        network, _, scale = name.rpartition("_x")
        path = pretrained_path(network, scale=int(scale))
        assert path is not None
        descriptor = load(path)
        assert_same(descriptor, load_checkpoint(path))
        lr = torch.rand(1, 3, 8, 9)
        reference = descriptor(lr)
        assert relative_error(descriptor.half()(lr.half()).float(), reference) < 0.05, name


@pytest.mark.parametrize("file", PUBLISHED)
def test_published_weights_load(installed: Install, file: str, data: Path) -> None:
    name, scale = PUBLISHED[file]
    path = data / "weights" / file
    descriptor = load(path)
    assert descriptor.architecture.name == name
    assert_same(descriptor, load_checkpoint(path, scale=scale))
    assert descriptor.supports_half


def test_install_selects_the_scale_of_multi_scale_weights(installed: Install, data: Path, tmp_path: Path) -> None:
    installed(scale=3)
    for file in ("carn_m.pth", "converted_lapsrn_twtygqyy.pth", "converted_vdsr_twtygqyy.pth"):
        path = data / "weights" / file
        assert_same(load(path), load_checkpoint(path, scale=3))
    net = create_network("edsr_baseline", scale=2, depth=1).eval()
    assert_same(load(save(net, tmp_path)), net)
    with pytest.raises(ValueError, match="install: scale must be an integer from 1 to 64, got 0"):
        installed(scale=0)


def test_saved_files_keep_their_scale(installed: Install, tmp_path: Path) -> None:
    for net in (create_network("srcnn", scale=3), create_network("carn_m", scale=3)):
        assert load(save(net, tmp_path)).scale == 3
    identity = load(save(create_network("vdsr", scale=1, depth=2), tmp_path))
    assert (identity.scale, identity.purpose) == (1, "Restoration")


def test_luma_networks_stay_on_luma_without_rgb(installed: Install) -> None:
    installed(rgb=False)
    path = pretrained_path("fsrcnn", scale=3)
    descriptor = load(path)
    assert (descriptor.input_channels, descriptor.output_channels) == (1, 1)
    net = load_checkpoint(path)
    lr = random_image(net)
    with torch.inference_mode():
        assert torch.equal(descriptor(lr), net(lr).clamp(0, 1))


def test_configuration_tensor_serves_programs_that_pass_state_dicts(installed: Install, tmp_path: Path) -> None:
    net = create_network("fsrcnn", scale=4).eval()
    path = save(net, tmp_path, as_tensor=True)
    assert_same(load_state(load_file(path)), net)
    assert_same(load(path), net)


def test_invalid_configurations_are_rejected(installed: Install, tmp_path: Path) -> None:
    state = create_network("fsrcnn", scale=2).state_dict()
    for recorded, message in (
        ('{"network": "unheard_of", "config": {}}', "srblocks configuration .*unheard_of"),
        ('{"network": "fsrcnn", "config": {"scale": 0}}', "cannot build a network from its srblocks configuration"),
        ('{"network": "srcnn", "config": {"scale": 2}}', "tensors do not fit this SRCNN"),
        ("{", "unreadable srblocks configuration"),
        ("3", "unreadable srblocks configuration"),
    ):
        save_file(state, tmp_path / "net.safetensors", metadata={"srblocks": recorded})
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path / "net.safetensors")


def test_float64_weights_load_as_float32(installed: Install, tmp_path: Path) -> None:
    net = create_network("fsrcnn", scale=2).double().eval()
    descriptor = load(save(net, tmp_path))
    assert descriptor.dtype == torch.float32
    assert_same(descriptor, net.float())


def test_second_install_changes_only_the_options(installed: Install) -> None:
    from spandrel import MAIN_REGISTRY, ModelLoader

    architectures, method = len(MAIN_REGISTRY), ModelLoader.load_state_dict_from_file
    installed()
    installed(rgb=False)
    assert len(MAIN_REGISTRY) == architectures
    assert ModelLoader.load_state_dict_from_file is method
    path = pretrained_path("fsrcnn", scale=2)
    assert load(path).input_channels == 1
    installed()
    assert_same(load(path), load_checkpoint(path))


def test_install_leaves_other_registries_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    spandrel = pytest.importorskip("spandrel")
    from srblocks.integrations.spandrel import install

    loader = spandrel.ModelLoader
    monkeypatch.setattr(loader, "load_state_dict_from_file", loader.load_state_dict_from_file)
    registry = spandrel.MAIN_REGISTRY.copy()
    install(registry)
    path = pretrained_path("fsrcnn", scale=2)
    assert_same(loader(registry=registry).load_from_file(path), load_checkpoint(path))
    assert loader().load_state_dict_from_file(path).keys() == load_file(path).keys()
    assert not any(each.architecture.id.startswith("srblocks-") for each in spandrel.MAIN_REGISTRY)


@pytest.fixture
def not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the import of the integration for one test."""
    monkeypatch.setattr(integrations, "spandrel", None, raising=False)
    monkeypatch.delitem(sys.modules, "srblocks.integrations.spandrel", raising=False)


@pytest.mark.usefixtures("not_imported")
def test_importing_the_integration_leaves_spandrel_unchanged() -> None:
    spandrel = pytest.importorskip("spandrel")

    before = [each.architecture.id for each in spandrel.MAIN_REGISTRY], spandrel.ModelLoader.load_state_dict_from_file
    importlib.import_module("srblocks.integrations.spandrel")
    after = [each.architecture.id for each in spandrel.MAIN_REGISTRY], spandrel.ModelLoader.load_state_dict_from_file
    assert after == before


@pytest.mark.usefixtures("not_imported")
def test_missing_spandrel_is_reported_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(ImportError, match=r'pip install "srblocks\[spandrel\]"'):
        importlib.import_module("srblocks.integrations.spandrel")


def test_half_precision_support_matches_the_measurements(installed: Install, tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "precision.md").read_text()
    trained, random = (
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if " | x" in line]
        for part in text.split("## Random weights")
    )
    aliases = {"CARN-M": "CARN", "SRGAN": "SRResNet"}
    measured = {aliases.get(name, name): float(row[2]) for row in trained for name in [row[0].split()[0].rstrip(",")]}
    assert measured == MEASURED_IN_FP16
    assert all(row[-1] == "" for row in trained)
    inaccurate = [(network_spec(row[0].split()[0]), float(row[2])) for row in random if float(row[9]) < 30]
    assert {spec.constructor[0].__name__ for spec, _ in inaccurate} == LIMITED_IN_BF16.keys()
    assert all(value_range > LIMITED_IN_BF16[spec.constructor[0].__name__] for spec, value_range in inaccurate)
    for value_range, supported in ((1.0, True), (255.0, False)):
        net = create_network("vdsr", depth=2, value_range=value_range)
        assert load(save(net, tmp_path)).supports_half == supported
    assert not load(save(create_network("edsr_baseline", depth=1), tmp_path)).supports_half

"""spandrel's own loader with our networks: everything of ours loads, and installing changes nothing else."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.support import REPOSITORY, relative_error, trained_alike
from srblocks import create_network, list_pretrained, load_checkpoint, on_rgb
from srblocks.checkpoints import CheckpointError
from srblocks.networks import network_name, network_spec
from srblocks.precision.measured import LIMITED_IN_BF16, MEASURED_IN_FP16
from srblocks.pretrained import pretrained_path
from srblocks.registry import NetworkSpec

pytest.importorskip("spandrel")

from spandrel import MAIN_REGISTRY, ImageModelDescriptor, ModelLoader, ModelTiling, UnsupportedDtypeError

from integrations.spandrel_models import assert_same, family, images, saved
from srblocks.integrations.spandrel import install

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
def test_every_network_of_ours_loads_through_spandrel(installed: Install, spec: NetworkSpec, tmp_path: Path) -> None:
    net = trained_alike(create_network(spec.name, scale=max(spec.scales), **spec.reduced), 0.5)
    descriptor = ModelLoader().load_from_file(saved(net, tmp_path))
    assert isinstance(descriptor, ImageModelDescriptor)
    assert_same(descriptor, net)
    assert descriptor.architecture.id == family(spec.name)
    assert descriptor.architecture.name == spec.constructor[0].__name__
    assert descriptor.tags[0] == network_name(net)
    assert descriptor.purpose == "SR"
    assert not descriptor.model.training

    whole = on_rgb(net)
    assert descriptor.size_requirements.minimum >= whole.min_size
    assert descriptor.size_requirements.multiple_of == whole.size_multiple
    height, width = 1, whole.min_size + 1
    assert descriptor(torch.rand(1, 3, height, width)).shape == (1, 3, net.scale * height, net.scale * width)

    limited = spec.size_requirements[net.scale].radius is None
    assert descriptor.tiling == (ModelTiling.DISCOURAGED if limited else ModelTiling.SUPPORTED)

    lr = images(whole)
    reference = descriptor(lr)
    if descriptor.supports_bfloat16:
        assert relative_error(descriptor.bfloat16()(lr.bfloat16()).float(), reference) < 0.25
    else:
        with pytest.raises(UnsupportedDtypeError):
            descriptor.bfloat16()


@pytest.mark.parametrize("name", list_pretrained())
def test_bundled_weights_load(installed: Install, name: str) -> None:
    network, _, scale = name.rpartition("_x")
    path = pretrained_path(network, scale=int(scale))
    assert path is not None
    descriptor = ModelLoader().load_from_file(path)
    assert_same(descriptor, load_checkpoint(path))
    lr = torch.rand(1, 3, 8, 9)
    reference = descriptor(lr)
    assert relative_error(descriptor.half()(lr.half()).float(), reference) < 0.05


@pytest.mark.parametrize("file", PUBLISHED)
def test_published_weights_load(installed: Install, file: str, data: Path) -> None:
    name, scale = PUBLISHED[file]
    path = data / "weights" / file
    descriptor = ModelLoader().load_from_file(path)
    assert descriptor.architecture.name == name
    assert_same(descriptor, load_checkpoint(path, scale=scale))
    assert descriptor.supports_half


def test_the_scale_of_weights_that_serve_several_can_be_chosen(installed: Install, data: Path, tmp_path: Path) -> None:
    installed(scale=3)
    for file in ("carn_m.pth", "converted_lapsrn_twtygqyy.pth", "converted_vdsr_twtygqyy.pth"):
        path = data / "weights" / file
        assert_same(ModelLoader().load_from_file(path), load_checkpoint(path, scale=3))
    net = create_network("edsr_baseline", scale=2, depth=1).eval()
    assert_same(ModelLoader().load_from_file(saved(net, tmp_path)), net)
    with pytest.raises(ValueError, match="install: scale must be an integer from 1 to 64, got 0"):
        installed(scale=0)


def test_own_files_keep_their_scale(installed: Install, tmp_path: Path) -> None:
    for net in (create_network("srcnn", scale=3), create_network("carn_m", scale=3)):
        assert ModelLoader().load_from_file(saved(net, tmp_path)).scale == 3
    identity = ModelLoader().load_from_file(saved(create_network("vdsr", scale=1, depth=2), tmp_path))
    assert (identity.scale, identity.purpose) == (1, "Restoration")


def test_networks_on_luma_can_stay_on_luma(installed: Install) -> None:
    installed(rgb=False)
    path = pretrained_path("fsrcnn", scale=3)
    descriptor = ModelLoader().load_from_file(path)
    assert (descriptor.input_channels, descriptor.output_channels) == (1, 1)
    net = load_checkpoint(path)
    lr = images(net)
    with torch.inference_mode():
        assert torch.equal(descriptor(lr), net(lr).clamp(0, 1))


def test_the_configuration_can_be_a_tensor_for_hosts_that_read_files_themselves(
    installed: Install, tmp_path: Path
) -> None:
    net = create_network("fsrcnn", scale=4).eval()
    path = saved(net, tmp_path, as_tensor=True)
    assert_same(ModelLoader().load_from_state_dict(load_file(path)), net)
    assert_same(ModelLoader().load_from_file(path), net)


@pytest.mark.parametrize(
    "recorded,message",
    [
        ('{"network": "unheard_of", "config": {}}', "srblocks configuration .*unheard_of"),
        ('{"network": "fsrcnn", "config": {"scale": 0}}', "cannot build a network from its srblocks configuration"),
        ('{"network": "srcnn", "config": {"scale": 2}}', "tensors do not fit this SRCNN"),
        ("{", "unreadable srblocks configuration"),
        ("3", "unreadable srblocks configuration"),
    ],
)
def test_a_broken_configuration_is_named(installed: Install, recorded: str, message: str, tmp_path: Path) -> None:
    state = create_network("fsrcnn", scale=2).state_dict()
    save_file(state, tmp_path / "net.safetensors", metadata={"srblocks": recorded})
    with pytest.raises(CheckpointError, match=message):
        ModelLoader().load_from_file(tmp_path / "net.safetensors")


def test_double_precision_becomes_single_as_hosts_give_it(installed: Install, tmp_path: Path) -> None:
    net = create_network("fsrcnn", scale=2).double().eval()
    descriptor = ModelLoader().load_from_file(saved(net, tmp_path))
    assert descriptor.dtype == torch.float32
    assert_same(descriptor, net.float())


def test_installing_again_changes_the_options_alone(installed: Install, tmp_path: Path) -> None:
    architectures, method = len(MAIN_REGISTRY), ModelLoader.load_state_dict_from_file
    installed()
    installed(rgb=False)
    assert len(MAIN_REGISTRY) == architectures
    assert ModelLoader.load_state_dict_from_file is method
    path = pretrained_path("fsrcnn", scale=2)
    assert ModelLoader().load_from_file(path).input_channels == 1
    installed()
    assert_same(ModelLoader().load_from_file(path), load_checkpoint(path))


def test_other_registries_are_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelLoader, "load_state_dict_from_file", ModelLoader.load_state_dict_from_file)
    registry = MAIN_REGISTRY.copy()
    install(registry)
    path = pretrained_path("fsrcnn", scale=2)
    assert_same(ModelLoader(registry=registry).load_from_file(path), load_checkpoint(path))
    assert ModelLoader().load_state_dict_from_file(path).keys() == load_file(path).keys()
    assert not any(each.architecture.id.startswith("srblocks-") for each in MAIN_REGISTRY)


def test_without_install_spandrel_is_unchanged() -> None:
    code = """
from spandrel import MAIN_REGISTRY, ModelLoader
names, method = [each.architecture.id for each in MAIN_REGISTRY], ModelLoader.load_state_dict_from_file
import srblocks.integrations.spandrel
assert [each.architecture.id for each in MAIN_REGISTRY] == names
assert ModelLoader.load_state_dict_from_file is method
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_a_missing_spandrel_is_named() -> None:
    code = """
import sys
sys.modules["spandrel"] = None
try:
    import srblocks.integrations.spandrel
except ImportError as error:
    assert 'pip install "srblocks[spandrel]"' in str(error), error
else:
    raise SystemExit("imported")
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_half_precision_is_promised_where_it_was_measured(installed: Install, tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "precision.md").read_text()
    rows, drawn = (
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if " | x" in line]
        for part in text.split("## Random weights")
    )
    aliases = {"CARN-M": "CARN", "SRGAN": "SRResNet"}
    measured = {aliases.get(name, name): float(row[2]) for row in rows for name in [row[0].split()[0].rstrip(",")]}
    assert measured == MEASURED_IN_FP16
    assert all(row[-1] == "" for row in rows)
    far_off = [(network_spec(row[0].split()[0]), float(row[2])) for row in drawn if float(row[9]) < 30]
    assert {spec.constructor[0].__name__ for spec, _ in far_off} == LIMITED_IN_BF16.keys()
    assert all(value_range > LIMITED_IN_BF16[spec.constructor[0].__name__] for spec, value_range in far_off)
    for value_range, promised in ((1.0, True), (255.0, False)):
        net = create_network("vdsr", depth=2, value_range=value_range)
        assert ModelLoader().load_from_file(saved(net, tmp_path)).supports_half == promised
    assert not ModelLoader().load_from_file(saved(create_network("edsr_baseline", depth=1), tmp_path)).supports_half

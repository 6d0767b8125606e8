"""spandrel's own loader with our networks: everything of ours loads, nothing of others changes."""

import importlib
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from checkpoints.authors import filled
from checkpoints.variants import VARIANTS, Variant
from srblocks import (
    CheckpointError,
    Network,
    create_network,
    list_pretrained,
    load_checkpoint,
    network_name,
    network_spec,
    on_rgb,
    save_checkpoint,
)
from srblocks.precision.measured import LIMITED_IN_BF16, MEASURED_IN_FP16
from srblocks.pretrained import pretrained_path
from srblocks.registry import NetworkSpec
from support import REPOSITORY, relative_error, trained_alike

spandrel = pytest.importorskip("spandrel")

from spandrel import (  # noqa: E402
    MAIN_REGISTRY,
    ArchRegistry,
    ImageModelDescriptor,
    ModelLoader,
    ModelTiling,
    UnsupportedDtypeError,
    UnsupportedModelError,
)

from srblocks.integrations.spandrel import install  # noqa: E402

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


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install`, which leaves spandrel as it was when the test ends."""
    monkeypatch.setattr(ModelLoader, "load_state_dict_from_file", ModelLoader.load_state_dict_from_file)
    for name, value in vars(MAIN_REGISTRY).items():
        monkeypatch.setattr(MAIN_REGISTRY, name, value)
    install()
    return install


@pytest.fixture(scope="module")
def with_ours() -> ArchRegistry:
    """A copy of spandrel's registry with our networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelLoader, "load_state_dict_from_file", ModelLoader.load_state_dict_from_file)
        registry = MAIN_REGISTRY.copy()
        install(registry)
    return registry


def saved(net: Network, folder: Path, **options: bool) -> Path:
    save_checkpoint(net, folder / "net.safetensors", **options)
    return folder / "net.safetensors"


def detected(state: dict[str, Tensor], registry: ArchRegistry = MAIN_REGISTRY) -> str | None:
    found = (each.architecture.id for each in registry.architectures("detection") if each.detect(state))
    return next(found, None)


def family(network: str) -> str:
    return f"srblocks-{network_spec(network).constructor[0].__name__.lower()}"


def images(net: Network, *, height: int = 12, width: int = 16) -> Tensor:
    return torch.rand(1, net.image_channels, height, width)


def assert_same(descriptor: ImageModelDescriptor, net: Network) -> None:
    whole = on_rgb(net)
    lr = images(whole)
    given = lr.clone()
    with torch.inference_mode():
        assert torch.equal(descriptor(lr), whole(lr).clamp(0, 1))
    assert torch.equal(lr, given)
    assert (descriptor.scale, descriptor.input_channels, descriptor.output_channels) == (net.scale, 3, 3)


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

    limited = spec.geometry[net.scale].radius is None
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


class Old:
    """A tensor as torch.save wrote it years ago, which spandrel's unpickler refuses."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __reduce__(self) -> tuple:
        tensor = self.tensor.contiguous()
        return torch._utils._rebuild_tensor, (
            torch.storage.TypedStorage(  # what torch.save names FloatStorage
                wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True
            ),
            0,
            tuple(tensor.shape),
            tensor.stride(),
        )


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_old_files_that_spandrel_refuses_load_where_we_know_them(
    installed: Install, suffix: str, tmp_path: Path
) -> None:
    net = trained_alike(create_network("espcn", scale=3), 0.5)
    old, recorded = tmp_path / f"old{suffix}", tmp_path / f"recorded{suffix}"
    state = net.state_dict()
    torch.save({"state_dict": {f"module.{name}": Old(tensor) for name, tensor in state.items()}}, old)
    assert_same(ModelLoader().load_from_file(old), net)
    tensors = load_file(saved(net, tmp_path, as_tensor=True))
    name = next(iter(state))
    torch.save({**tensors, name: Old(tensors[name])}, recorded)
    assert_same(ModelLoader().load_from_file(recorded), net)


def test_what_spandrel_refuses_and_we_do_not_know_is_refused_in_its_words(installed: Install, tmp_path: Path) -> None:
    torch.save({"strange.weight": Old(torch.ones(2))}, tmp_path / "strange.pth")
    torch.save({**create_network("espcn", scale=3).state_dict(), "path": tmp_path}, tmp_path / "objects.pth")
    for name, what in (("strange", "torch._utils._rebuild_tensor"), ("objects", "pathlib")):
        with pytest.raises(pickle.UnpicklingError, match=f"Global '{what}.*' is forbidden"):
            ModelLoader().load_from_file(tmp_path / f"{name}.pth")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(RuntimeError, match="PytorchStreamReader"):
        ModelLoader().load_from_file(tmp_path / "text.pt")
    torch.save({"0.weight": Old(torch.ones(2))}, tmp_path / "other.pth")
    with pytest.raises(pickle.UnpicklingError):
        ModelLoader(registry=ArchRegistry()).load_from_file(tmp_path / "other.pth")


def test_the_scale_of_weights_that_serve_several_can_be_chosen(installed: Install, data: Path, tmp_path: Path) -> None:
    installed(scale=3)
    for file in ("carn_m.pth", "converted_lapsrn_twtygqyy.pth", "converted_vdsr_twtygqyy.pth"):
        path = data / "weights" / file
        assert_same(ModelLoader().load_from_file(path), load_checkpoint(path, scale=3))
    net = create_network("edsr_baseline", scale=2, depth=1).eval()
    assert_same(ModelLoader().load_from_file(saved(net, tmp_path)), net)
    with pytest.raises(ValueError, match="install: scale=0 is no enlargement"):
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


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.title)
def test_layouts_of_others_are_ours_where_spandrel_has_none(with_ours: ArchRegistry, variant: Variant) -> None:
    state = filled(variant.used + variant.unused, white=variant.white, mean=variant.mean)
    assert detected(state, with_ours) == (detected(state) or family(variant.network))


def test_layouts_of_others_load_at_their_scale_or_as_published(installed: Install) -> None:
    tried = {variant.network: variant for variant in VARIANTS if not variant.given and "RCAN" not in variant.title}
    for variant in tried.values():
        state = filled(variant.used + variant.unused, white=variant.white, mean=variant.mean)
        names, version = list(state), [tensor._version for tensor in state.values()]
        descriptor = ModelLoader().load_from_state_dict(state)
        assert (list(state), [tensor._version for tensor in state.values()]) == (names, version)
        if variant.scales == (1,):
            assert descriptor.scale == 2, variant.title
        elif "scales" in variant.config:
            assert descriptor.scale == (4 if 4 in variant.scales else max(variant.scales)), variant.title
        else:
            assert descriptor.scale == variant.config["scale"], variant.title


def test_what_no_tensor_shows_is_asked_for(installed: Install) -> None:
    (variant,) = [each for each in VARIANTS if each.title == "fsrcnn x3"]
    state = filled(variant.used)
    with pytest.raises(
        CheckpointError, match=r"do not show scale \(2, 3 or 4\).* a scale can also be given to install"
    ):
        ModelLoader().load_from_state_dict(state)
    installed(scale=3)
    assert ModelLoader().load_from_state_dict(state).scale == 3


def foreign_networks() -> dict[str, nn.Module]:
    """Networks of spandrel, as far as they are built without arguments and without memory."""
    found: dict[str, nn.Module] = {}
    for each in MAIN_REGISTRY:
        module = importlib.import_module(type(each.architecture).__module__)
        for name in module.__all__:
            build = getattr(module, name)
            if inspect.isclass(build) and issubclass(build, nn.Module):
                try:
                    with torch.device("meta"):
                        found[name] = build()
                except (RuntimeError, TypeError):
                    continue
    return found


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_spandrels_networks_stay_spandrels(with_ours: ArchRegistry) -> None:
    networks = foreign_networks()
    assert {"Compact", "ESRGAN", "DnCNN"} < networks.keys()
    states = {name: net.state_dict() for name, net in networks.items()}
    states["a 1x Compact with ReLU"] = {
        f"body.{2 * i}.{kind}": torch.empty(shape if kind == "weight" else shape[:1])
        for i, shape in enumerate([(8, 3, 3, 3), (8, 8, 3, 3), (3, 8, 3, 3)])
        for kind in ("weight", "bias")
    }
    for name, state in states.items():
        assert detected(state, with_ours) == detected(state), name


def test_rcan_in_the_layout_of_its_authors_is_still_loaded_by_spandrel(installed: Install, tmp_path: Path) -> None:
    theirs = pytest.importorskip("spandrel.architectures.RCAN").RCAN(n_resgroups=1, n_resblocks=1).eval()
    torch.save(theirs.state_dict(), tmp_path / "rcan.pth")
    descriptor = ModelLoader().load_from_file(tmp_path / "rcan.pth")
    assert (type(descriptor.model), descriptor.architecture.id) == (type(theirs), "RCAN")
    lr = torch.rand(1, 3, 8, 9)
    with torch.inference_mode():
        assert torch.equal(descriptor(lr.clone()), theirs(lr.clone()).clamp(0, 1))


def test_a_state_dict_with_our_names_is_told_where_its_shapes_tell_it(
    with_ours: ArchRegistry, spec: NetworkSpec
) -> None:
    with torch.device("meta"):
        state = create_network(spec.name, scale=max(spec.scales)).state_dict()
    assert detected(state, with_ours) == family(spec.name)


def test_a_state_dict_with_our_names_and_other_shapes_is_left_to_others(with_ours: ArchRegistry) -> None:
    state = create_network("edsr_baseline", scale=2).state_dict()
    assert detected(state, with_ours) == "srblocks-edsr"
    assert detected({**state, "head.weight": torch.empty(7, 3, 3, 3)}, with_ours) is None
    assert detected({**state, "extra": torch.empty(1)}, with_ours) is None
    assert detected(create_network("edsr_baseline", scale=2, width=32).state_dict(), with_ours) is None


def test_a_plain_state_dict_of_ours_loads_where_it_shows_its_scale(installed: Install, tmp_path: Path) -> None:
    net = create_network("espcn", scale=3).eval()
    torch.save(net.state_dict(), tmp_path / "espcn.pth")
    assert_same(ModelLoader().load_from_file(tmp_path / "espcn.pth"), net)
    net = create_network("fsrcnn", scale=3).eval()
    torch.save({f"module.{name}": tensor for name, tensor in net.state_dict().items()}, tmp_path / "fsrcnn.pth")
    with pytest.raises(CheckpointError, match=r"do not show the scale \(2, 3, 4\)"):
        ModelLoader().load_from_file(tmp_path / "fsrcnn.pth")
    installed(scale=3)
    assert_same(ModelLoader().load_from_file(tmp_path / "fsrcnn.pth"), net)


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
        ('{"network": "unheard_of", "config": {}}', "builds no network here .*unheard_of"),
        ('{"network": "fsrcnn", "config": {"scale": 0}}', "builds no network here"),
        ('{"network": "srcnn", "config": {"scale": 2}}', "not the weights of this SRCNN"),
        ("{", "its srblocks configuration is unreadable"),
        ("3", "its srblocks configuration is unreadable"),
    ],
)
def test_a_broken_configuration_is_named(installed: Install, recorded: str, message: str, tmp_path: Path) -> None:
    state = create_network("fsrcnn", scale=2).state_dict()
    save_file(state, tmp_path / "net.safetensors", metadata={"srblocks": recorded})
    with pytest.raises(CheckpointError, match=message):
        ModelLoader().load_from_file(tmp_path / "net.safetensors")


def test_what_is_no_state_dict_is_left_to_others(installed: Install) -> None:
    for state in ({}, {"head.0.weight": 3}, {"epoch": 7, "head.0.weight": torch.ones(1)}, {"x": torch.ones(1)}):
        with pytest.raises(UnsupportedModelError):
            ModelLoader().load_from_state_dict(state)


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
    assert "pip install 'srblocks[spandrel]'" in str(error), error
else:
    raise SystemExit("imported")
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_half_precision_is_promised_where_it_was_measured(installed: Install, tmp_path: Path) -> None:
    text = (REPOSITORY / "srblocks" / "precision" / "README.md").read_text()
    rows, drawn = (
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if " | x" in line]
        for part in text.split("## Drawn weights")
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

"""spandrel's own loader with weights of others: the layouts that we know load, nothing of spandrel's changes."""

import importlib
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from checkpoints.authors import filled
from checkpoints.variants import VARIANTS, Variant
from helpers.support import trained_alike
from srblocks import create_network
from srblocks.checkpoints import CheckpointError
from srblocks.registry import NetworkSpec

pytest.importorskip("spandrel")

from spandrel import MAIN_REGISTRY, ArchRegistry, ModelLoader, UnsupportedModelError

from integrations.spandrel_models import assert_same, detected, family, saved

Install = Callable[..., None]


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
        CheckpointError, match=r"do not reveal scale \(2, 3 or 4\).* a scale can also be passed to install"
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
    with pytest.raises(CheckpointError, match=r"do not reveal scale \(2, 3, 4\)"):
        ModelLoader().load_from_file(tmp_path / "fsrcnn.pth")
    installed(scale=3)
    assert_same(ModelLoader().load_from_file(tmp_path / "fsrcnn.pth"), net)


def test_what_is_no_state_dict_is_left_to_others(installed: Install) -> None:
    for state in ({}, {"head.0.weight": 3}, {"epoch": 7, "head.0.weight": torch.ones(1)}, {"x": torch.ones(1)}):
        with pytest.raises(UnsupportedModelError):
            ModelLoader().load_from_state_dict(state)

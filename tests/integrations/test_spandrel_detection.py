"""Third-party weights in spandrel's own loader: known layouts load, and spandrel's own models load as before."""

import importlib
import inspect
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from checkpoints.authors import filled
from checkpoints.variants import Variant, variants
from helpers.support import trained_alike
from integrations.spandrel_models import architecture_id, assert_same, detect, load, load_state, save
from srblocks import create_network
from srblocks.checkpoints import CheckpointError
from srblocks.networks import network_spec
from srblocks.registry import NetworkSpec

if TYPE_CHECKING:
    from spandrel import ArchRegistry

Install = Callable[..., None]


class OldFormat:
    """Pickle a tensor as torch.save did years ago, which spandrel's unpickler rejects."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __reduce__(self) -> tuple:
        tensor = self.tensor.contiguous()
        return torch._utils._rebuild_tensor, (
            torch.storage.TypedStorage(  # torch.save writes it as FloatStorage
                wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True
            ),
            0,
            tuple(tensor.shape),
            tensor.stride(),
        )


def state_of(variant: Variant) -> dict[str, Tensor]:
    return filled(variant.used + variant.unused, white=variant.white, mean=variant.mean)


def test_old_files_in_known_layouts_load(installed: Install, tmp_path: Path) -> None:
    net = trained_alike(create_network("espcn", scale=3), 0.5)
    state = net.state_dict()
    tensors = load_file(save(net, tmp_path, as_tensor=True))
    name = next(iter(state))
    for suffix in (".pth", ".pt", ".ckpt"):
        old, recorded = tmp_path / f"old{suffix}", tmp_path / f"recorded{suffix}"
        torch.save({"state_dict": {f"module.{key}": OldFormat(tensor) for key, tensor in state.items()}}, old)
        assert_same(load(old), net)
        torch.save({**tensors, name: OldFormat(tensors[name])}, recorded)
        assert_same(load(recorded), net)


def test_unknown_files_raise_spandrels_errors(installed: Install, tmp_path: Path) -> None:
    from spandrel import ArchRegistry, ModelLoader

    torch.save({"strange.weight": OldFormat(torch.ones(2))}, tmp_path / "strange.pth")
    torch.save({**create_network("espcn", scale=3).state_dict(), "path": tmp_path}, tmp_path / "objects.pth")
    for name, forbidden in (("strange", "torch._utils._rebuild_tensor"), ("objects", "pathlib")):
        with pytest.raises(pickle.UnpicklingError, match=f"Global '{forbidden}.*' is forbidden"):
            load(tmp_path / f"{name}.pth")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(RuntimeError, match="PytorchStreamReader"):
        load(tmp_path / "text.pt")
    torch.save({"0.weight": OldFormat(torch.ones(2))}, tmp_path / "other.pth")
    with pytest.raises(pickle.UnpicklingError):
        ModelLoader(registry=ArchRegistry()).load_from_file(tmp_path / "other.pth")


def test_third_party_layouts_are_detected_unless_spandrel_knows_them(extended_registry: "ArchRegistry") -> None:
    one_per_layout = {(variant.network, variant.used[0][0]): variant for variant in variants()}
    for variant in one_per_layout.values():
        state = state_of(variant)
        expected = detect(state) or architecture_id(variant.network)
        assert detect(state, extended_registry) == expected, variant.title


def test_third_party_layouts_load_at_their_scale_or_the_published_one(installed: Install) -> None:
    used = [each for each in variants() if not each.given and "RCAN" not in each.title]
    one_per_class = {network_spec(each.network).constructor[0]: each for each in used}
    for variant in one_per_class.values():
        state = state_of(variant)
        names, versions = list(state), [tensor._version for tensor in state.values()]
        descriptor = load_state(state)
        assert (list(state), [tensor._version for tensor in state.values()]) == (names, versions), variant.title
        if variant.scales == (1,):
            assert descriptor.scale == 2, variant.title
        elif "scales" in variant.config:
            assert descriptor.scale == (4 if 4 in variant.scales else max(variant.scales)), variant.title
        else:
            assert descriptor.scale == variant.config["scale"], variant.title


def test_a_scale_that_shapes_do_not_reveal_is_required(installed: Install) -> None:
    state = state_of(next(each for each in variants() if each.title == "fsrcnn x3"))
    with pytest.raises(
        CheckpointError, match=r"do not reveal scale \(2, 3 or 4\).* a scale can also be passed to install"
    ):
        load_state(state)
    installed(scale=3)
    assert load_state(state).scale == 3


def spandrel_networks() -> Iterator[tuple[str, nn.Module]]:
    """Build the networks of spandrel that need no arguments, on the meta device."""
    from spandrel import MAIN_REGISTRY

    for each in MAIN_REGISTRY:
        module = importlib.import_module(type(each.architecture).__module__)
        for name in module.__all__:
            build = getattr(module, name)
            if inspect.isclass(build) and issubclass(build, nn.Module):
                try:
                    with torch.device("meta"):
                        yield name, build()
                except (RuntimeError, TypeError):
                    continue


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_spandrel_detects_its_own_networks_as_before(
    extended_registry: "ArchRegistry", monkeypatch: pytest.MonkeyPatch
) -> None:
    for layer in (nn.modules.conv._ConvNd, nn.Linear):  # random weights take seconds on the meta device
        monkeypatch.setattr(layer, "reset_parameters", lambda self: None)
    states = {name: net.state_dict() for name, net in spandrel_networks()}
    assert {"Compact", "ESRGAN", "DnCNN"} < states.keys()
    for name, state in states.items():
        assert detect(state, extended_registry) == detect(state), name


def test_spandrel_still_loads_rcan_in_the_authors_layout(installed: Install, tmp_path: Path) -> None:
    theirs = pytest.importorskip("spandrel.architectures.RCAN").RCAN(n_resgroups=1, n_resblocks=1).eval()
    torch.save(theirs.state_dict(), tmp_path / "rcan.pth")
    descriptor = load(tmp_path / "rcan.pth")
    assert (type(descriptor.model), descriptor.architecture.id) == (type(theirs), "RCAN")
    lr = torch.rand(1, 3, 8, 9)
    with torch.inference_mode():
        assert torch.equal(descriptor(lr.clone()), theirs(lr.clone()).clamp(0, 1))


@pytest.mark.one_of_each_class(but=["rcan", "san"])
def test_plain_state_dicts_are_detected_by_names_and_shapes(
    extended_registry: "ArchRegistry", spec: NetworkSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.modules.conv._ConvNd, "reset_parameters", lambda self: None)
    with torch.device("meta"):
        state = create_network(spec.name, scale=max(spec.scales)).state_dict()
    assert detect(state, extended_registry) == architecture_id(spec.name)


def test_plain_state_dicts_of_other_shapes_are_not_detected(extended_registry: "ArchRegistry") -> None:
    state = create_network("edsr_baseline", scale=2).state_dict()
    assert detect(state, extended_registry) == "srblocks-edsr"
    assert detect({**state, "head.weight": torch.empty(7, 3, 3, 3)}, extended_registry) is None
    assert detect({**state, "extra": torch.empty(1)}, extended_registry) is None
    assert detect(create_network("edsr_baseline", scale=2, width=32).state_dict(), extended_registry) is None


def test_plain_state_dicts_load_if_their_shapes_reveal_the_scale(installed: Install, tmp_path: Path) -> None:
    net = create_network("espcn", scale=3).eval()
    torch.save(net.state_dict(), tmp_path / "espcn.pth")
    assert_same(load(tmp_path / "espcn.pth"), net)
    net = create_network("fsrcnn", scale=3).eval()
    torch.save({f"module.{name}": tensor for name, tensor in net.state_dict().items()}, tmp_path / "fsrcnn.pth")
    with pytest.raises(CheckpointError, match=r"do not reveal scale \(2, 3, 4\)"):
        load(tmp_path / "fsrcnn.pth")
    installed(scale=3)
    assert_same(load(tmp_path / "fsrcnn.pth"), net)


def test_other_objects_are_unsupported(installed: Install) -> None:
    from spandrel import UnsupportedModelError

    for state in ({}, {"head.0.weight": 3}, {"epoch": 7, "head.0.weight": torch.ones(1)}, {"x": torch.ones(1)}):
        with pytest.raises(UnsupportedModelError):
            load_state(state)

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import srblocks.networks
from srblocks import Network, PixelShuffleUp, PostUpsampling, conv, create_network, list_networks
from srblocks.networks import network_name, network_spec, network_specs
from srblocks.registry import NetworkSpec, SizeRequirements, UnknownNetworkError, register
from srblocks.tiling import receptive_radius


def test_unknown_name_suggests_the_closest() -> None:
    with pytest.raises(UnknownNetworkError, match="unknown network 'edsr-base'; did you mean edsr_baseline"):
        create_network("edsr-base")
    with pytest.raises(UnknownNetworkError, match="available: bsrn, bsrn_s"):
        create_network("zzz")


def test_registered_name_raises_and_registers_nothing() -> None:
    names = list_networks()
    new = dataclasses.replace(network_spec("espcn"), name="brand_new")
    with pytest.raises(ValueError, match="'espcn' is already registered"):
        register(new, network_spec("espcn"))
    assert list_networks() == names


def test_invalid_specs_raise() -> None:
    valid = {
        "name": "x",
        "build": create_network,
        "paper": "none",
        "size_requirements": {2: SizeRequirements(radius=1)},
    }
    changes: list[tuple[dict, str]] = [
        ({"size_requirements": {}}, "size_requirements must have at least one scale"),
        ({"name": "my-net"}, "must consist of lower-case letters.*, got 'my-net'"),
        ({"name": "net_x2"}, "must not end with the scale, got 'net_x2'"),
    ]
    for change, message in changes:
        with pytest.raises(ValueError, match=message):
            NetworkSpec(**valid | change)


def test_specs_built_by_functions_have_the_properties_of_the_network() -> None:
    def build(scale: int) -> Network:
        return Factory(scale=scale)

    spec = NetworkSpec(name="function", build=build, paper="none", size_requirements={2: SizeRequirements(radius=2)})
    assert (spec.framework, spec.image_channels, spec.color, spec.value_range) == ("post", 1, "y", 1.0)


def test_every_network_file_registers_a_network() -> None:
    folder = Path(srblocks.networks.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    builders = {spec.constructor[0].__module__ for spec in network_specs()}
    assert {module.rpartition(".")[2] for module in builders} == files


def test_network_name_ignores_custom_arguments() -> None:
    assert network_name(create_network("edsr", depth=1)) == "edsr"
    assert network_name(create_network("edsr_baseline", depth=8)) == "edsr_baseline"


def test_invalid_arguments_raise() -> None:
    with pytest.raises(TypeError, match="n_feats"):
        create_network("edsr", n_feats=64)
    with pytest.raises(ValueError, match="scale must be an integer >= 2, got 1"):
        create_network("edsr", scale=1)
    with pytest.raises(ValueError, match="LapSRN.* 2, 3.*4.*8.*5"):
        create_network("lapsrn", scale=5)
    with pytest.raises(TypeError, match=r"EDSR: scale must be of type int, got 2.5 \(float\)"):
        create_network("edsr", scale=2.5)
    with pytest.raises(
        TypeError, match="EDSR: got an unexpected keyword argument 'act'; arguments: scale, image_chann"
    ):
        create_network("edsr", act="relu")
    with pytest.raises(ValueError, match="EDSR: depth must not be negative, got -1"):
        create_network("edsr", depth=-1)


def test_numpy_numbers_become_python_numbers_in_config() -> None:
    net = create_network("edsr", scale=np.int64(2), depth=np.int32(1), width=np.int64(8), res_scale=np.float32(0.5))
    assert json.loads(json.dumps(net.config)) == net.config | {"scale": 2, "depth": 1, "width": 8, "res_scale": 0.5}
    assert type(net.scale) is int
    assert net(torch.rand(1, 3, 4, 4)).shape == (1, 3, 8, 8)


def test_derived_classes_may_have_negative_arguments() -> None:
    class Shifted(srblocks.EDSR):
        def __init__(self, *, offset: int = -1, shifts: tuple[int, ...] = (-1, 1)) -> None:
            super().__init__(depth=1, width=8)

    assert Shifted(offset=-3).config == {"offset": -3, "shifts": [-1, 1]}


def test_config_of_keyword_and_positional_arguments() -> None:
    class Keywords(srblocks.EDSR):
        def __init__(self, **arguments: object) -> None:
            super().__init__(**arguments)

    class Positional(srblocks.EDSR):
        def __init__(self, *arguments: object) -> None:
            super().__init__(depth=1)

    assert Keywords(depth=1, width=8).config == {"depth": 1, "width": 8}
    with pytest.raises(TypeError, match=r"Positional: pass arguments by name instead of \*arguments"):
        Positional(1)


class Factory(PostUpsampling):
    """Network of another package with an argument that JSON cannot represent."""

    def __init__(self, *, scale: int = 2, kernel: int = 3, act: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__(
            scale=scale,
            image_channels=1,
            head=nn.Sequential(conv(1, 4, kernel), act()),
            body=nn.Identity(),
            upsampler=PixelShuffleUp(4, scale),
            tail=conv(4, 1, 1),
        )


def test_config_omits_arguments_that_json_cannot_represent(monkeypatch: pytest.MonkeyPatch) -> None:
    build = partial(Factory, act=nn.GELU)
    row = NetworkSpec(name="factory", build=build, paper="none", size_requirements={2: SizeRequirements(radius=9)})
    monkeypatch.setitem(srblocks.registry._specs, "factory", row)
    net = create_network("factory")
    assert "act" not in net.config
    assert network_name(net) == "factory"
    assert receptive_radius(net) == 2

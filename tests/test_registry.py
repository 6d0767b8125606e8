import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from torch import nn

import srblocks.networks
from srblocks import PixelShuffleUp, PostUpsampling, conv, create_network, list_networks
from srblocks.networks import network_name, network_spec
from srblocks.registry import NetworkSpec, SizeRequirements, UnknownNetworkError, register
from srblocks.tiling import receptive_radius


def test_an_unknown_name_lists_the_closest_and_stops() -> None:
    with pytest.raises(UnknownNetworkError, match="unknown network 'edsr-base'; did you mean edsr_baseline"):
        create_network("edsr-base")
    with pytest.raises(UnknownNetworkError, match="known are carn, carn_m"):
        create_network("zzz")


def test_a_taken_name_is_refused_and_nothing_is_added() -> None:
    names = list_networks()
    new = dataclasses.replace(network_spec("espcn"), name="brand_new")
    with pytest.raises(ValueError, match="'espcn' is registered already"):
        register(new, network_spec("espcn"))
    assert list_networks() == names


@pytest.mark.parametrize(
    "change,message",
    [
        ({"framework": "sideways"}, "framework='sideways' is unknown; use one of pre"),
        ({"color": "cmyk"}, "color='cmyk' is unknown; use y, rgb"),
        ({"geometry": {}}, "size_requirements is empty"),
        ({"name": "my-net"}, "name='my-net' is no name of a network; use lower-case letters"),
        ({"name": "net_x2"}, "name='net_x2' is no name of a network; .* without the scale"),
    ],
)
def test_an_impossible_row_is_refused(change: dict, message: str) -> None:
    row = {
        "name": "x",
        "build": create_network,
        "paper": "none",
        "framework": "pre",
        "geometry": {2: SizeRequirements(radius=1)},
    }
    with pytest.raises(ValueError, match=message):
        NetworkSpec(**row | change)


def test_every_file_of_networks_registers_and_is_imported() -> None:
    folder = Path(srblocks.networks.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    builders = {spec.constructor[0].__module__ for spec in srblocks.registry.network_specs()}
    assert {module.rpartition(".")[2] for module in builders} == files


def test_names_are_lower_snake_case_without_scale(spec: NetworkSpec) -> None:
    assert spec.name == spec.name.lower()
    assert not any(spec.name.endswith(f"x{scale}") for scale in spec.scales)


def test_a_variant_with_custom_arguments_keeps_the_closest_name() -> None:
    assert network_name(create_network("edsr", depth=1)) == "edsr"
    assert network_name(create_network("edsr_baseline", depth=8)) == "edsr_baseline"


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="n_feats"):
        create_network("edsr", n_feats=64)
    with pytest.raises(ValueError, match="scale=1 is no enlargement"):
        create_network("edsr", scale=1)
    with pytest.raises(ValueError, match="use 2, 3 \\(by resizing x4\\), 4 or 8"):
        create_network("lapsrn", scale=5)
    with pytest.raises(TypeError, match="EDSR: scale=2.5 is of type float; give one of type int"):
        create_network("edsr", scale=2.5)
    with pytest.raises(TypeError, match="EDSR: got an unexpected keyword argument 'act'; it takes scale, image_chann"):
        create_network("edsr", act="relu")
    with pytest.raises(ValueError, match="depth=-1 is negative"):
        create_network("edsr", depth=-1)


def test_config_takes_in_keywords_of_a_subclass_and_refuses_nameless_arguments() -> None:
    class Keywords(srblocks.EDSR):
        def __init__(self, **arguments: object) -> None:
            super().__init__(**arguments)

    class Nameless(srblocks.EDSR):
        def __init__(self, *arguments: object) -> None:
            super().__init__(depth=1)

    assert Keywords(depth=1, width=8).config == {"depth": 1, "width": 8}
    with pytest.raises(TypeError, match=r"Nameless has \*arguments: give arguments by name"):
        Nameless(1)


class Factory(PostUpsampling):
    """A network of another package, one of whose arguments no configuration can hold."""

    def __init__(self, *, scale: int = 2, kernel: int = 3, act: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__(
            scale=scale,
            image_channels=1,
            head=nn.Sequential(conv(1, 4, kernel), act()),
            body=nn.Identity(),
            upsampler=PixelShuffleUp(4, scale),
            tail=conv(4, 1, 1),
        )


def test_a_row_with_an_argument_that_json_cannot_hold_is_measured_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    build = partial(Factory, act=nn.GELU)
    row = NetworkSpec(name="factory", build=build, paper="none", size_requirements={2: SizeRequirements(radius=9)})
    monkeypatch.setitem(srblocks.registry._specs, "factory", row)
    net = create_network("factory")
    assert "act" not in net.config
    assert network_name(net) == "factory"
    assert receptive_radius(net) == 2

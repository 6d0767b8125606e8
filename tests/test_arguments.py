import pytest

from srblocks._utils.arguments import parse_argument
from srblocks.networks import network_spec


def test_values_are_json_constants_or_text() -> None:
    expected = {
        "image_skip=False": False,
        "image_skip=true": True,
        "recursions=None": None,
        "recursions=8": 8,
        "value_range=255.0": 255.0,
        "scales=[2, 4]": [2, 4],
        "act=ReLU": "ReLU",
        "act=": "",
        "value_range=Infinity": "Infinity",
        "width=" + "[" * 5000: "[" * 5000,
    }
    for pair, value in expected.items():
        found = parse_argument(pair)
        assert (*found, type(found[1])) == (pair.partition("=")[0], value, type(value))


def test_default_determines_the_type() -> None:
    for network, pair, expected in (
        ("vdsr", "value_range=255", 255.0),
        ("espcn", "act=true", "true"),
        ("espcn", "color=ycbcr", "ycbcr"),
        ("mdsr", "scales=[2, 3]", [2, 3]),
        ("vdsr", "bias=False", False),
    ):
        value = parse_argument(pair, network_spec(network))[1]
        assert (value, type(value)) == (expected, type(expected)), pair


def test_malformed_assignments_raise() -> None:
    for pair in ("depth", "=3", "a b=3", "scale=3"):
        with pytest.raises(ValueError, match=r"^--arg (must be KEY=VALUE|does not accept scale)"):
            parse_argument(pair)


def test_values_of_another_type_raise() -> None:
    for pair in ("bias=0", "bias=no", "depth=2.5", "depth=True", "value_range=wide"):
        with pytest.raises(ValueError, match=r"^--arg .* must be of type (bool|int|float), like its default"):
            parse_argument(pair, network_spec("vdsr"))

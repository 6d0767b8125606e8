import pytest

from srblocks._utils.arguments import parse_argument
from srblocks.networks import network_spec


@pytest.mark.parametrize(
    "pair,expected",
    [
        ("image_skip=False", False),
        ("image_skip=true", True),
        ("recursions=None", None),
        ("recursions=8", 8),
        ("value_range=255.0", 255.0),
        ("scales=[2, 4]", [2, 4]),
        ("act=ReLU", "ReLU"),
        ("act=", ""),
        ("value_range=Infinity", "Infinity"),
        ("width=" + "[" * 5000, "[" * 5000),
    ],
)
def test_value_is_json_or_a_constant_or_text(pair: str, expected: object) -> None:
    assert parse_argument(pair) == (pair.partition("=")[0], expected)


@pytest.mark.parametrize(
    "network,pair,expected",
    [
        ("vdsr", "value_range=255", 255.0),
        ("espcn", "act=true", "true"),
        ("espcn", "color=ycbcr", "ycbcr"),
        ("mdsr", "scales=[2, 3]", [2, 3]),
        ("vdsr", "bias=False", False),
    ],
)
def test_default_determines_the_type(network: str, pair: str, expected: object) -> None:
    value = parse_argument(pair, network_spec(network))[1]
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize("pair", ["depth", "=3", "a b=3", "scale=3"])
def test_malformed_assignment_raises(pair: str) -> None:
    with pytest.raises(ValueError, match=r"^--arg (must be KEY=VALUE|does not accept scale)"):
        parse_argument(pair)


@pytest.mark.parametrize("pair", ["bias=0", "bias=no", "depth=2.5", "depth=True", "value_range=wide"])
def test_value_of_another_type_raises(pair: str) -> None:
    with pytest.raises(ValueError, match=r"^--arg .* must be of type (bool|int|float), like its default"):
        parse_argument(pair, network_spec("vdsr"))

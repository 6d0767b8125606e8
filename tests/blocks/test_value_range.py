import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from srblocks.blocks import DIV2K_MEAN, MeanShift, Rescale, normalization

RANGES = st.sampled_from([1.0, 2.0, 255.0])
MEANS = st.lists(st.floats(0, 1), min_size=1, max_size=4)


def column(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1)


def test_div2k_mean_matches_the_published_values() -> None:
    assert DIV2K_MEAN == (0.4488, 0.4371, 0.4040)


def test_hand_computed_shift() -> None:
    x = torch.tensor([1.0, 2.0, 4.0]).view(1, 3, 1, 1)
    mean = (0.5, 0.25, 0.125)
    assert MeanShift(-1, mean=mean)(x).flatten().tolist() == [0.5, 1.75, 3.875]
    assert MeanShift(+1, mean=mean)(x).flatten().tolist() == [1.5, 2.25, 4.125]
    assert MeanShift(-1, mean=mean, value_range=8)(x).flatten().tolist() == [-3.0, 0.0, 3.0]


@settings(max_examples=10, deadline=None)
@given(mean=MEANS, value_range=RANGES, height=st.integers(1, 5), width=st.integers(1, 5), sign=st.sampled_from([-1, 1]))
def test_shift_adds_one_constant_per_channel(
    mean: list[float], value_range: float, height: int, width: int, sign: int
) -> None:
    x = torch.rand(2, len(mean), height, width, dtype=torch.float64) * value_range
    shifted = MeanShift(sign, value_range=value_range, mean=mean).double()(x)
    # The bias is stored in float32: half a unit in the last place of a mean of at most 255.
    torch.testing.assert_close(shifted, x + sign * value_range * column(mean), rtol=0, atol=value_range * 2**-24)


def test_shift_is_saved_and_loaded_but_not_trained() -> None:
    shift = MeanShift(-1)
    assert not list(shift.parameters())
    shift.load_state_dict({"weight": 2 * torch.eye(3)[:, :, None, None], "bias": torch.tensor([1.0, 2.0, 3.0])})
    assert shift(torch.ones(1, 3, 1, 1)).flatten().tolist() == [3.0, 4.0, 5.0]


def test_repr_of_mean_shift() -> None:
    assert repr(MeanShift(-1, value_range=255)) == "MeanShift(shift=(-114.4, -111.5, -103))"
    shift = MeanShift(+1)
    shift.bias.fill_(0.5)
    assert repr(shift) == "MeanShift(shift=(0.5, 0.5, 0.5))"
    assert repr(MeanShift(+1).to("meta")) == "MeanShift(shift=(0.4488, 0.4371, 0.404))"


def test_rescale() -> None:
    assert Rescale(3)(torch.tensor([0.0, -1.0, 0.5])).tolist() == [0.0, -3.0, 1.5]
    assert repr(Rescale(255)) == "Rescale(factor=255)"
    assert not Rescale(3).state_dict()


def test_normalization_without_range_and_mean_is_the_identity() -> None:
    assert [type(module) for module in normalization(3)] == [nn.Identity, nn.Identity]
    assert [type(module) for module in normalization(1, 1, None)] == [nn.Identity, nn.Identity]


def test_mean_is_subtracted_in_the_inner_range() -> None:
    normalize, denormalize = normalization(3, 8, (0.5, 0.25, 0.125))
    x = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1)
    assert normalize(x).flatten().tolist() == [4.0, 2.0, -1.0]
    assert denormalize(torch.zeros(1, 3, 1, 1)).flatten().tolist() == [0.5, 0.25, 0.125]


def test_range_without_mean_accepts_any_number_of_channels() -> None:
    normalize, denormalize = normalization(5, 255)
    x = torch.rand(1, 5, 2, 2)
    assert torch.equal(normalize(x), x * 255)
    torch.testing.assert_close(denormalize(x * 255), x)


@settings(max_examples=10, deadline=None)
@given(mean=st.none() | MEANS, value_range=RANGES)
def test_denormalize_inverts_normalize(mean: list[float] | None, value_range: float) -> None:
    channels = len(mean or [0])
    normalize, denormalize = (module.double() for module in normalization(channels, value_range, mean))
    x = torch.rand(1, channels, 3, 2, dtype=torch.float64)
    before = x.clone()
    torch.testing.assert_close(denormalize(normalize(x)), x, rtol=0, atol=1e-14)
    torch.testing.assert_close(normalize(denormalize(x)), x, rtol=0, atol=1e-12)
    assert torch.equal(x, before)


def test_invalid_ranges_and_means_raise() -> None:
    for value_range in (0, -255.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"^value_range must be positive and finite .*, got {value_range}$"):
            normalization(3, value_range)
    with pytest.raises(ValueError, match="^the mean shift needs image_channels=3, got 1; use mean_shift=False$"):
        normalization(1, 255, DIV2K_MEAN)

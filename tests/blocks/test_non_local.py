import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from helpers.support import relative_error
from srblocks import RCAB, CrossScaleNonLocal, NonLocal, SecondOrderChannelAttention
from srblocks.blocks import Patches, RegionNonLocal, timm_attention


def features(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@given(
    side=st.sampled_from([2, 3, 4, 6]), stride=st.integers(1, 3), padding=st.integers(0, 2), channels=st.integers(1, 3)
)
@settings(deadline=None, max_examples=30)
def test_patches_are_unfold_and_fold_is_fold(side: int, stride: int, padding: int, channels: int) -> None:
    patches = Patches(channels, side, stride=stride, padding=padding).double()
    x = features(2, channels, 7, 9)
    unfolded = F.unfold(x, side, stride=stride, padding=padding)
    found = patches(x)
    torch.testing.assert_close(found.flatten(2), unfolded)
    height, width = ((n - 1) * stride + side - 2 * padding for n in found.shape[2:])
    if min(height, width) > 0:
        folded = F.fold(unfolded, (height, width), side, stride=stride, padding=padding)
        torch.testing.assert_close(patches.fold(found), folded)


@pytest.mark.parametrize("pool", [1, 2])
def test_non_local_is_the_softmax_of_all_products(pool: int) -> None:
    block = NonLocal(4, inner_channels=3, pool=pool).double()
    nn.init.normal_(block.skip.weight)
    x = features(2, 4, 5, 6)
    query, key, value = (embed(x) for embed in (block.query, block.key, block.value))
    if pool > 1:
        key, value = F.max_pool2d(key, 2), F.max_pool2d(value, 2)
    weights = torch.softmax(torch.einsum("nchw,ncyx->nhwyx", query, key).flatten(3), 3)
    gathered = torch.einsum("nhwp,ncp->nchw", weights, value.flatten(2))
    torch.testing.assert_close(block(x), x + block.skip(gathered))


def test_non_local_starts_as_the_identity_with_a_skip() -> None:
    x = torch.randn(1, 4, 5, 6)
    assert torch.equal(NonLocal(4, inner_channels=2)(x), x)


def test_regions_are_quarters() -> None:
    block = RegionNonLocal(NonLocal(4, inner_channels=2, act=nn.PReLU, skip=False, value_channels=4))
    x = torch.randn(1, 4, 5, 7)
    y = block(x)
    for rows in (slice(0, 2), slice(2, None)):
        for columns in (slice(0, 3), slice(3, None)):
            torch.testing.assert_close(y[:, :, rows, columns], block.non_local(x[:, :, rows, columns]))


@pytest.mark.parametrize("scale", [2, 3])
def test_cross_scale_pastes_the_patches_where_the_reduced_map_looks_alike(scale: int) -> None:
    """By convolution with each image's own patches, as the paper describes it."""
    block = CrossScaleNonLocal(4, scale).double()
    x = features(2, 4, 2 * scale, 3 * scale)
    pasted = []
    for image in x.split(1):
        reduced = F.interpolate(image, scale_factor=1 / scale, mode="bilinear", recompute_scale_factor=True)
        keys = F.unfold(block.key(reduced), 3, padding=1)[0].T.view(-1, 2, 3, 3)
        keys = keys / keys.flatten(1).norm(dim=1).clamp(min=1e-4)[:, None, None, None]
        scores = F.conv2d(block.query(image), keys, padding=1)
        side = 3 * scale
        values = F.unfold(block.value(image), side, stride=scale, padding=scale)[0].T.view(-1, 4, side, side)
        weights = torch.softmax(10 * scores, 1)
        pasted.append(F.conv_transpose2d(weights, values, stride=scale, padding=scale) / 6)
    torch.testing.assert_close(block(x), torch.cat(pasted))


def test_second_order_gate_follows_the_square_root_of_the_covariance() -> None:
    block = SecondOrderChannelAttention(6, reduction=2, iterations=20).double()
    x = features(2, 6, 7, 8)
    gates = block(x) / x
    for item, gate in zip(x, gates, strict=True):
        values, vectors = torch.linalg.eigh(torch.cov(item.flatten(1), correction=0))
        root = vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T
        expected = block.excite(block.squeeze(root.mean(0)[:, None, None]).relu()).sigmoid()
        torch.testing.assert_close(gate, expected.expand_as(gate), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("level", [0.0, 1e-4, 1.0])
def test_second_order_attention_of_a_flat_map_is_finite(level: float, dtype: torch.dtype) -> None:
    block = SecondOrderChannelAttention(4, reduction=2).to(dtype)
    assert block(torch.full((1, 4, 3, 3), level, dtype=dtype)).isfinite().all()
    assert block(level * torch.rand(1, 4, 3, 3).to(dtype)).isfinite().all()


def test_second_order_attention_sums_many_pixels_in_half_precision() -> None:
    block = SecondOrderChannelAttention(4, reduction=2)
    x = 4 * torch.randn(1, 4, 160, 160)  # 25600 squares of 16 on average
    exact = block(x)
    assert relative_error(block.half()(x.half()).float(), exact) < 5e-3


def test_second_order_attention_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="reduction=16 leaves no hidden channel of channels=8"):
        SecondOrderChannelAttention(8)
    with pytest.raises(ValueError, match="iterations=1; use 2 or more"):
        SecondOrderChannelAttention(16, iterations=1)


@pytest.mark.parametrize("name", ["se", "ese", "eca", "cbam", "gc"])
def test_any_attention_of_timm_sits_in_an_rcab(name: str) -> None:
    block = RCAB(32, attention=timm_attention(name)).eval()
    x = torch.randn(1, 32, 6, 7)
    expected = x + block.attention(block.conv2(block.conv1(x).relu()))
    torch.testing.assert_close(block(x), expected)
    assert type(block.attention).__module__.startswith("timm.")
    scripted = torch.jit.script(block)
    torch.testing.assert_close(scripted(x[..., 1:]), block(x[..., 1:]))


def test_an_attention_that_timm_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="timm has no attention 'magic'"):
        timm_attention("magic")


def test_arguments_reach_timm() -> None:
    block = RCAB(32, attention=timm_attention("se", rd_channels=5))
    assert block.attention.fc1.out_channels == 5

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from srblocks.blocks import CrossScaleNonLocal, NonLocal, Patches, RegionNonLocal


def features(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@given(
    side=st.sampled_from([2, 3, 4, 6]), stride=st.integers(1, 3), padding=st.integers(0, 2), channels=st.integers(1, 3)
)
@settings(deadline=None, max_examples=12)
def test_patches_match_unfold_and_fold(side: int, stride: int, padding: int, channels: int) -> None:
    patches = Patches(channels, side, stride=stride, padding=padding).double()
    x = features(2, channels, 7, 9)
    unfolded = F.unfold(x, side, stride=stride, padding=padding)
    found = patches(x)
    torch.testing.assert_close(found.flatten(2), unfolded)
    height, width = ((n - 1) * stride + side - 2 * padding for n in found.shape[2:])
    if min(height, width) > 0:
        folded = F.fold(unfolded, (height, width), side, stride=stride, padding=padding)
        torch.testing.assert_close(patches.fold(found), folded)


def test_non_local_is_softmax_attention() -> None:
    for pool in (1, 2):
        block = NonLocal(4, inner_channels=3, pool=pool).double()
        nn.init.normal_(block.skip.weight)
        x = features(2, 4, 5, 6)
        query, key, value = (embed(x) for embed in (block.query, block.key, block.value))
        if pool > 1:
            key, value = F.max_pool2d(key, 2), F.max_pool2d(value, 2)
        weights = torch.softmax(torch.einsum("nchw,ncyx->nhwyx", query, key).flatten(3), 3)
        gathered = torch.einsum("nhwp,ncp->nchw", weights, value.flatten(2))
        torch.testing.assert_close(block(x), x + block.skip(gathered))


def test_non_local_is_initialized_as_the_identity() -> None:
    x = torch.randn(1, 4, 5, 6)
    assert torch.equal(NonLocal(4, inner_channels=2)(x), x)


def test_region_non_local_runs_on_quadrants() -> None:
    block = RegionNonLocal(NonLocal(4, inner_channels=2, act=nn.PReLU, skip=False, value_channels=4))
    x = torch.randn(1, 4, 5, 7)
    y = block(x)
    for rows in (slice(0, 2), slice(2, None)):
        for columns in (slice(0, 3), slice(3, None)):
            torch.testing.assert_close(y[:, :, rows, columns], block.non_local(x[:, :, rows, columns]))


def test_cross_scale_attention_sums_matching_patches() -> None:
    """Reference: convolution with the patches of each image, as in the paper."""
    for scale in (2, 3):
        block = CrossScaleNonLocal(4, scale).double()
        x = features(2, 4, 2 * scale, 3 * scale)
        expected = []
        for image in x.split(1):
            downscaled = F.interpolate(image, scale_factor=1 / scale, mode="bilinear", recompute_scale_factor=True)
            keys = F.unfold(block.key(downscaled), 3, padding=1)[0].T.view(-1, 2, 3, 3)
            keys = keys / keys.flatten(1).norm(dim=1).clamp(min=1e-4)[:, None, None, None]
            scores = F.conv2d(block.query(image), keys, padding=1)
            side = 3 * scale
            values = F.unfold(block.value(image), side, stride=scale, padding=scale)[0].T.view(-1, 4, side, side)
            weights = torch.softmax(10 * scores, 1)
            expected.append(F.conv_transpose2d(weights, values, stride=scale, padding=scale) / 6)
        torch.testing.assert_close(block(x), torch.cat(expected))

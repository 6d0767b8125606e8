import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from srblocks import RDB, RRDB, CascadingBlock, DenseBlock, EfficientResidualBlock, conv
from srblocks.blocks import FeatureFusion, MultiScale


@given(channels=st.integers(1, 4), growth=st.integers(1, 3), depth=st.integers(1, 4), sees=st.booleans())
@settings(deadline=None, max_examples=25)
def test_every_layer_sees_what_those_before_it_gave(*, channels: int, growth: int, depth: int, sees: bool) -> None:
    block = DenseBlock(channels, growth=growth, depth=depth, dense_input=sees, keep_input=not sees)
    x = torch.randn(1, channels, 3, 4)
    given_so_far: list[torch.Tensor] = []
    for i, layer in enumerate(block.layers):
        seen = [x, *given_so_far] if sees or i == 0 else given_so_far
        given_so_far.append(layer(torch.cat(seen, 1)))
    expected = torch.cat(given_so_far if sees else [x, *given_so_far], 1)
    torch.testing.assert_close(block(x), expected)
    assert block.out_channels == expected.shape[1]
    torch.testing.assert_close(torch.jit.script(block)(x), expected)


def test_residual_dense_block_fuses_and_adds() -> None:
    block = RDB(3, growth=2, depth=3, res_scale=0.5)
    x = torch.randn(1, 3, 4, 5)
    torch.testing.assert_close(block(x), x + 0.5 * block.fuse(block.dense(x)))
    assert block.fuse.weight.shape == (3, 3 + 3 * 2, 1, 1)


def test_rrdb_is_three_scaled_dense_blocks_inside_a_scaled_skip() -> None:
    block = RRDB(4, growth=2)
    x = torch.randn(1, 4, 4, 5)
    first, second, third = block.blocks
    torch.testing.assert_close(block(x), x + 0.2 * third(second(first(x))))
    convs = [layer for layer in first.modules() if isinstance(layer, nn.Conv2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in convs] == [(4, 2), (6, 2), (8, 2), (10, 2), (12, 4)]
    assert {layer.kernel_size for layer in convs} == {(3, 3)}


def test_fusion_sees_every_output_oldest_first() -> None:
    blocks = [conv(2, 2), conv(2, 2), conv(2, 2)]
    x = torch.randn(1, 2, 4, 5)
    fusion = FeatureFusion(blocks, nn.Identity())
    first = blocks[0](x)
    second = blocks[1](first)
    torch.testing.assert_close(fusion(x), torch.cat((first, second, blocks[2](second)), 1))


@pytest.mark.parametrize("shared", [False, True])
def test_cascade_fuses_the_input_and_all_outputs_so_far(shared: bool) -> None:
    cascade = CascadingBlock(4, block=lambda c: EfficientResidualBlock(c, groups=2), shared=shared)
    x = seen = torch.randn(1, 4, 4, 5)
    o = x
    for i, fuse in enumerate(cascade.fuses):
        block = cascade.shared if shared else cascade.blocks[i]
        seen = torch.cat((seen, block(o)), 1)
        o = (fuse[0](seen)).relu()
    torch.testing.assert_close(cascade(x), o)
    torch.testing.assert_close(torch.jit.script(cascade)(x), o)
    kinds = [module for module in cascade.modules() if isinstance(module, EfficientResidualBlock)]
    assert len(kinds) == (1 if shared else 3)


def test_efficient_residual_block_is_grouped_and_pointwise() -> None:
    block = EfficientResidualBlock(4, groups=2)
    x = torch.randn(1, 4, 4, 5)
    expected = (x + block.conv3(block.conv2(block.conv1(x).relu()).relu())).relu()
    torch.testing.assert_close(block(x), expected)
    assert [block.conv1.groups, block.conv2.groups, block.conv3.kernel_size] == [2, 2, (1, 1)]


def test_the_branch_of_the_scale_runs_alone() -> None:
    head = MultiScale(3, {2: nn.PixelShuffle(2), 3: nn.PixelShuffle(3), 4: nn.PixelShuffle(4)})
    x = torch.randn(1, 144, 2, 3)
    assert torch.equal(head(x), nn.functional.pixel_shuffle(x, 3))
    assert torch.equal(torch.jit.script(head)(x), head(x))
    with pytest.raises(ValueError, match=r"scale=8 has no branch; scales=\[2, 3\] have"):
        MultiScale(8, {2: nn.Identity(), 3: nn.Identity()})

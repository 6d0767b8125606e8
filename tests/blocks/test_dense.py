import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from srblocks import RDB, RRDB, CascadingBlock, DenseBlock, EfficientResidualBlock, conv
from srblocks.blocks import FeatureFusion, MultiScale


@given(channels=st.integers(1, 4), growth=st.integers(1, 3), depth=st.integers(1, 4), dense=st.booleans())
@settings(deadline=None, max_examples=10)
def test_each_layer_receives_all_previous_outputs(*, channels: int, growth: int, depth: int, dense: bool) -> None:
    block = DenseBlock(channels, growth=growth, depth=depth, dense_input=dense, keep_input=not dense)
    x = torch.randn(1, channels, 3, 4)
    outputs: list[torch.Tensor] = []
    for i, layer in enumerate(block.layers):
        inputs = [x, *outputs] if dense or i == 0 else outputs
        outputs.append(layer(torch.cat(inputs, 1)))
    expected = torch.cat(outputs if dense else [x, *outputs], 1)
    torch.testing.assert_close(block(x), expected)
    assert block.out_channels == expected.shape[1]


def test_residual_dense_block_fuses_and_adds() -> None:
    block = RDB(3, growth=2, depth=3, res_scale=0.5)
    x = torch.randn(1, 3, 4, 5)
    torch.testing.assert_close(block(x), x + 0.5 * block.fuse(block.dense(x)))
    assert block.fuse.weight.shape == (3, 3 + 3 * 2, 1, 1)


def test_rdb_defaults_match_the_paper() -> None:
    block = RDB(4)
    assert len(block.dense.layers) == 8
    assert block.dense.out_channels == 4 + 8 * 64


def test_rrdb_is_three_dense_blocks_with_a_scaled_skip() -> None:
    block = RRDB(4, growth=2)
    x = torch.randn(1, 4, 4, 5)
    first, second, third = block.blocks
    torch.testing.assert_close(block(x), x + 0.2 * third(second(first(x))))
    convs = [layer for layer in first.modules() if isinstance(layer, nn.Conv2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in convs] == [(4, 2), (6, 2), (8, 2), (10, 2), (12, 4)]
    assert {layer.kernel_size for layer in convs} == {(3, 3)}


def test_fusion_concatenates_all_outputs_in_order() -> None:
    blocks = [conv(2, 2), conv(2, 2), conv(2, 2)]
    x = torch.randn(1, 2, 4, 5)
    fusion = FeatureFusion(blocks, nn.Identity())
    first = blocks[0](x)
    second = blocks[1](first)
    torch.testing.assert_close(fusion(x), torch.cat((first, second, blocks[2](second)), 1))


def test_cascade_fuses_the_input_and_all_previous_outputs() -> None:
    for shared in (False, True):
        cascade = CascadingBlock(4, block=lambda c: EfficientResidualBlock(c, groups=2), shared=shared)
        x = features = torch.randn(1, 4, 4, 5)
        o = x
        for i, fuse in enumerate(cascade.fuses):
            block = cascade.shared if shared else cascade.blocks[i]
            features = torch.cat((features, block(o)), 1)
            o = fuse[0](features).relu()
        torch.testing.assert_close(cascade(x), o)
        kinds = [module for module in cascade.modules() if isinstance(module, EfficientResidualBlock)]
        assert len(kinds) == (1 if shared else 3)


def test_efficient_residual_block() -> None:
    block = EfficientResidualBlock(4, groups=2)
    x = torch.randn(1, 4, 4, 5)
    expected = (x + block.conv3(block.conv2(block.conv1(x).relu()).relu())).relu()
    torch.testing.assert_close(block(x), expected)
    assert [block.conv1.groups, block.conv2.groups, block.conv3.kernel_size] == [2, 2, (1, 1)]


def test_multi_scale_runs_only_the_branch_of_its_scale() -> None:
    head = MultiScale(3, {2: nn.PixelShuffle(2), 3: nn.PixelShuffle(3), 4: nn.PixelShuffle(4)})
    x = torch.randn(1, 144, 2, 3)
    assert torch.equal(head(x), nn.functional.pixel_shuffle(x, 3))
    with pytest.raises(ValueError, match="^no branch for scale 8; available scales: 2, 3$"):
        MultiScale(8, {2: nn.Identity(), 3: nn.Identity()})

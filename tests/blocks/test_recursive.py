import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from srblocks import MemoryBlock, RecursiveBlock
from srblocks.blocks import DualStateUnit, LearnedAverage


def double(module: nn.Module) -> nn.Module:
    """Return the module in float64 with non-trivial normalizations."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
            layer.running_mean.normal_()
    return module.double().eval()


def features(channels: int = 3) -> Tensor:
    return torch.randn(2, channels, 5, 4, dtype=torch.float64)


@given(
    recursions=st.integers(1, 4),
    depth=st.integers(1, 3),
    norm=st.booleans(),
    pre=st.booleans(),
    skip=st.sampled_from(["source", "previous", "none"]),
)
@settings(deadline=None, max_examples=15)
def test_recursions_share_convolutions_but_not_norms(
    *, recursions: int, depth: int, norm: bool, pre: bool, skip: str
) -> None:
    factory = nn.BatchNorm2d if norm else None
    block = double(RecursiveBlock(3, recursions=recursions, depth=depth, norm=factory, pre_activation=pre, skip=skip))
    x = source = features()
    for run in range(recursions):
        y = x
        for i in range(depth):
            y = block.convs[i](block.norms[run][i](y).relu()) if pre else block.norms[run][i](block.convs[i](y)).relu()
        x = y + {"source": source, "previous": x, "none": 0}[skip]
    torch.testing.assert_close(block(source), x)
    assert len(block.states(source)) == recursions
    assert sum(p.numel() for p in block.convs.parameters()) == depth * (3 * 3 * 9 + 3)


def test_invalid_arguments_raise() -> None:
    with pytest.raises(ValueError, match="^RecursiveBlock: skip must be 'source', 'previous' or 'none', got 'dense'$"):
        RecursiveBlock(3, recursions=2, skip="dense")
    with pytest.raises(ValueError, match="^RecursiveBlock: recursions and depth must be >= 1, got 0 and 2$"):
        RecursiveBlock(3, recursions=0)


def test_memory_gates_earlier_memories_and_states() -> None:
    block = double(MemoryBlock(3, memories=2, recursions=2))
    memories = [features(), features()]
    first, second = block.recursive.states(memories[-1])
    inputs = torch.cat([*memories, first, second], 1)
    expected = block.gate.conv(block.gate.norm(inputs).relu())
    torch.testing.assert_close(block(memories), expected)


def test_learned_average() -> None:
    tensors = [torch.full((1, 2), value) for value in (1.0, 2.0, 6.0)]
    average, normalized = LearnedAverage(3), LearnedAverage(3, normalized=True)
    torch.testing.assert_close(average(tensors), torch.full((1, 2), 3.0))
    for module in (average, normalized):
        module.weight.data = torch.tensor([1.0, 1.0, 2.0])
    torch.testing.assert_close(average(tensors), torch.full((1, 2), 15.0))
    torch.testing.assert_close(normalized(tensors), torch.full((1, 2), 15 / 4))


def test_dual_states_are_updated_together() -> None:
    unit = DualStateUnit(2, nn.ConvTranspose2d(2, 2, 2, stride=2), scale=2).double()
    low, high = torch.randn(1, 2, 3, 4, dtype=torch.float64), torch.randn(1, 2, 6, 8, dtype=torch.float64)
    next_low, next_high = unit(low, high)
    pooled = (high[..., ::2, ::2] + high[..., 1::2, ::2] + high[..., ::2, 1::2] + high[..., 1::2, 1::2]) / 4
    torch.testing.assert_close(next_low, (low + unit.low(low) + pooled).relu())
    torch.testing.assert_close(next_high, (high + unit.high(high) + unit.up(low)).relu())
    torch.testing.assert_close(unit.first(low), ((low + unit.low(low)).relu(), unit.up(low).relu()))

"""Re-parameterized convolutions equal one convolution, borders included."""

import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.small_networks import randomize
from srblocks import Conv3XC, EdgeOrientedConv, RepVGGConv
from srblocks.blocks import RRRB, ConvChain, EdgeConv, NormedConv, ReparameterizedConv

BLOCKS = 100
"""Random blocks of each kind."""

Build = Callable[[random.Random, int, int], ReparameterizedConv]


def chain(draw: random.Random, inputs: int, outputs: int) -> ReparameterizedConv:
    sizes = [draw.choice((1, 3, 5)) for _ in range(draw.randint(1, 3))]
    widths = [draw.randint(1, 8) for _ in sizes[1:]] + [outputs]
    return ConvChain(inputs, widths, sizes, skip=inputs == outputs, bias=draw.random() < 0.8)


def edge_oriented(draw: random.Random, inputs: int, outputs: int) -> ReparameterizedConv:
    hidden = draw.choice((None, outputs, 2 * outputs))
    identity = inputs == outputs and draw.random() < 0.5
    return EdgeOrientedConv(inputs, outputs, hidden=hidden, pointwise=draw.random() < 0.5, identity=identity)


def edge(draw: random.Random, inputs: int, outputs: int) -> ReparameterizedConv:
    return EdgeConv(inputs, outputs, [[draw.uniform(-2, 2) for _ in range(3)] for _ in range(3)])


KINDS: dict[str, Build] = {
    "ConvChain": chain,
    "Conv3XC": lambda draw, i, o: Conv3XC(i, o, gain=draw.randint(1, 3), bias=draw.random() < 0.8),
    "EdgeConv": edge,
    "EdgeOrientedConv": edge_oriented,
    "RRRB": lambda draw, i, _: RRRB(i, ratio=draw.randint(1, 3)),
    "NormedConv": lambda draw, i, o: NormedConv(i, o, after=draw.random() < 0.5),
    "RepVGGConv": lambda draw, i, o: RepVGGConv(i, o, norm=draw.random() < 0.5),
}


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_fused_equals_unfused(kind: str) -> None:
    draw = random.Random(kind)
    for number in range(BLOCKS):
        inputs = draw.randint(1, 8)
        outputs = inputs if draw.random() < 0.5 else draw.randint(1, 8)
        block = randomize(KINDS[kind](draw, inputs, outputs))
        x = torch.randn(2, inputs, draw.randint(1, 9), draw.randint(1, 9), dtype=torch.float64)
        fused, expected = block.fused(), block(x)
        assert type(fused) is nn.Conv2d
        assert fused.weight.shape == (block.out_channels, block.in_channels, block.kernel_size, block.kernel_size)
        error = (fused(x) - expected).abs().max() / expected.abs().max().clamp(min=1e-3)
        assert error < 1e-12, (number, block)


def impulse_response(block: nn.Module, channels: int) -> tuple[Tensor, Tensor]:
    """Return the kernel and the bias of a linear layer of 3x3, read from its outputs for unit impulses."""
    bias = block(torch.zeros(1, channels, 3, 3, dtype=torch.float64))
    impulses = torch.eye(channels * 9, dtype=torch.float64).view(channels, 3, 3, channels, 3, 3)[:, 1, 1]
    response = block(impulses) - bias
    return response.flip(2, 3).transpose(0, 1), bias[0, :, 1, 1]


@torch.inference_mode()
def test_kernels_are_the_impulse_responses() -> None:
    edges = EdgeOrientedConv(3, 5, hidden=4, pointwise=True)
    for block in map(randomize, (Conv3XC(3, 5), edges, RRRB(3), NormedConv(3, 5, after=True))):
        weight, bias = impulse_response(block, 3)
        torch.testing.assert_close(block.fused().weight, weight, rtol=0, atol=1e-12)
        torch.testing.assert_close(block.fused().bias, bias, rtol=0, atol=1e-12)


def test_edges_are_sobel_and_laplace_filters() -> None:
    """The filters of the paper, applied to a ramp and a step."""
    ramp = torch.arange(7.0).expand(1, 1, 7, 7)
    block = EdgeOrientedConv(1, 1, hidden=None)
    with torch.no_grad():
        for branch in block.branches:
            branch.pointwise.weight.fill_(1), branch.pointwise.bias.zero_()
            branch.scale.fill_(1), branch.bias.zero_()
        responses = [branch(ramp)[0, 0, 3, 3].item() for branch in block.branches]
        turned = [branch(ramp.mT)[0, 0, 3, 3].item() for branch in block.branches]
        impulse = F.pad(torch.ones(1, 1, 1, 1), [3, 3, 3, 3])
        assert block.branches[2](impulse)[0, 0, 3, 3] == -4
    assert (responses, turned) == ([-8, 0, 0], [0, -8, 0])


def test_gradients_reach_every_parameter() -> None:
    """Except the biases before edge filters that sum to zero, which cannot have one."""
    blocks = [
        Conv3XC(4, 4),
        EdgeOrientedConv(4, 4, hidden=8, pointwise=True, identity=True),
        RRRB(4),
        NormedConv(4, 4),
        RepVGGConv(4, 4),
        ConvChain(4, (8, 4), (3, 1), skip=True),
    ]
    for block in (randomize(block).train() for block in blocks):
        y = block(torch.randn(2, 4, 5, 6, dtype=torch.float64))
        y.backward(torch.randn_like(y))
        edges = {f"branches.{i}.pointwise.bias" for i in range(3)} if isinstance(block, EdgeOrientedConv) else set()
        zero = {name for name, each in block.named_parameters() if each.grad is None or each.grad.abs().max() < 1e-9}
        assert zero == edges, block


def test_batch_statistics_come_from_the_image_alone() -> None:
    block = NormedConv(4, 4).double().train()
    x = torch.randn(3, 4, 6, 6, dtype=torch.float64) + 2
    block(x)
    torch.testing.assert_close(block.norm1.running_mean, 0.1 * x.mean((0, 2, 3)))


def test_identities_need_equal_channels() -> None:
    for build in (
        lambda: EdgeOrientedConv(3, 4, hidden=None, identity=True),
        lambda: RepVGGConv(3, 4, identity=True),
        lambda: ConvChain(3, (4,), (3,), skip=True),
    ):
        with pytest.raises(ValueError, match="needs equal channels, got 3 in and 4 out"):
            build()
    with pytest.raises(ValueError, match="as many kernel_sizes as widths"):
        ConvChain(3, (4,), (3, 1))


def test_kernels_of_wrong_shapes_are_refused() -> None:
    class Centered(ReparameterizedConv):
        def kernel(self) -> tuple[Tensor, Tensor]:
            return torch.ones(4, 3, 1, 1), torch.zeros(4)

    with pytest.raises(ValueError, match=r"expected \(4, 3, 3, 3\) and \(4,\), got \(4, 3, 1, 1\) and \(4,\)"):
        Centered(3, 4).fused()
    with pytest.raises(ValueError, match="needs an odd kernel to keep the size, got 2"):
        ConvChain(3, (4,), (2,))

"""Fusing re-parameterized convolutions."""

import torch
from torch import Tensor, nn

from helpers.rewriting import all_but, around, checked, names, reasons
from helpers.small_networks import randomize
from srblocks import BlueprintSeparableConv, Conv3XC, EdgeOrientedConv, RepVGGConv, create_network, optimize
from srblocks.blocks import RRRB, ConvChain, NormedConv, ReparameterizedConv, conv

ONLY = {"without": all_but("reparameterization")}


def convolutions(net: nn.Module) -> int:
    return sum(isinstance(module, nn.Conv2d) for module in net.modules())


def test_every_block_becomes_one_convolution() -> None:
    shared = Conv3XC(6, 6)
    blocks = [
        shared,
        EdgeOrientedConv(6, 6, hidden=12, pointwise=True, identity=True),
        RRRB(6),
        NormedConv(6, 6, after=True),
        RepVGGConv(6, 6),
        ConvChain(6, (9, 6), (3, 1), skip=True),
        shared,
    ]
    net = around(nn.Sequential(*(layer for block in blocks for layer in (block, nn.Softplus()))))
    rewritten = checked(net, (1, 1), (5, 4), **ONLY)
    assert convolutions(rewritten.body) == len(blocks) - 1
    assert rewritten.body[0] is rewritten.body[-2]
    assert "reparameterization: rewrote body.0: 4 convolutions fused into one 3x3 convolution" in str(
        rewritten.rewrites
    )
    complete = optimize(net)
    assert not any(isinstance(module, ReparameterizedConv) for module in complete.modules())
    half = optimize(net.to(torch.bfloat16).to(memory_format=torch.channels_last))
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}


def test_networks_in_training_form_equal_their_deploy_form() -> None:
    for name in ("span", "spanf3", "ecbsr", "efdn", "fmen"):
        depth = {} if name == "efdn" else {"depth": 2}
        net = randomize(create_network(name, scale=2, deploy=False, value_range=1.0, **depth))
        rewritten = checked(net, (17, 23), **ONLY, case=name)
        deployed = create_network(name, **{**net.config, "deploy": True})
        assert convolutions(rewritten) == convolutions(deployed), name


class Doubled(ReparameterizedConv):
    """A block of a user: twice a convolution."""

    def __init__(self, channels: int, factor: float) -> None:
        super().__init__(channels, channels)
        self.conv = conv(channels, channels)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.conv(x)

    def kernel(self) -> tuple[Tensor, Tensor]:
        return self.factor * self.conv.weight, self.factor * self.conv.bias


def test_blocks_of_users_are_fused_and_checked() -> None:
    assert names(checked(around(Doubled(6, 2.0)), (5, 4), **ONLY)) == {"reparameterization"}
    wrong = optimize(around(Doubled(6, 3.0)), **ONLY)
    assert names(wrong) == set()
    assert "rolled back" in reasons(wrong, "reparameterization")[0]


def test_separable_convolutions_are_kept_with_a_reason() -> None:
    for bias, reason in ((True, "exact only in the interior"), (False, "more multiplications")):
        net = optimize(around(BlueprintSeparableConv(6, 6, pointwise_bias=bias)), **ONLY)
        assert names(net) == set()
        assert reason in reasons(net, "reparameterization")[0]

"""In-place rewrites never write to the image or to a tensor that another module still reads."""

import itertools
from functools import partial

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.rewriting import EXACT, all_but, around, assert_equal, checked, image, names
from helpers.support import relative_error
from srblocks import optimize
from srblocks.blocks import (
    RCAB,
    ChannelAttention,
    DenseBlock,
    PreActivatedConv,
    Rescale,
    ResidualBlock,
    ResidualDenseBlock,
    ResidualGroup,
    conv,
)

BUFFER = {"without": all_but("dense_buffer")}
GATED = {"without": all_but("gated_residual")}
IN_PLACE = {"without": all_but("in_place")}
OVERWRITING = partial(nn.ReLU, inplace=True)


def overwriting_layer(in_channels: int, growth: int) -> nn.Module:
    """A layer that overwrites its input."""
    return PreActivatedConv(in_channels, growth, norm=None, act=OVERWRITING)


def normalized_layer(in_channels: int, growth: int) -> nn.Module:
    return PreActivatedConv(in_channels, growth, act=OVERWRITING)


LAYERS = {
    "convolution and activation": lambda inputs, growth: nn.Sequential(conv(inputs, growth), nn.LeakyReLU(0.2)),
    "normalized": normalized_layer,
    "overwriting": overwriting_layer,
    "overwriting alone": lambda inputs, growth: nn.Sequential(nn.SiLU(inplace=True), conv(inputs, growth)),
    "view": lambda inputs, growth: nn.Sequential(conv(inputs, growth), nn.Unflatten(1, (growth, 1)), nn.Flatten(1, 2)),
    "dense": lambda inputs, growth: DenseBlock(inputs, growth=growth // 2, depth=2, keep_input=False),
}


def test_dense_blocks_of_any_layers_are_exact() -> None:
    for case in itertools.product(LAYERS, (1, 3), (True, False), (True, False)):
        layer, depth, dense_input, keep_input = case
        options = {"layer": LAYERS[layer], "dense_input": dense_input, "keep_input": keep_input}
        block = DenseBlock(6, growth=4, depth=depth, **options)
        net = around(block, out_channels=block.out_channels)
        for without in (all_but("dense_buffer"), ()):
            rewritten = checked(net, (1, 1), (5, 4), case=case, without=without)
            assert layer.startswith("overwriting") or "dense_buffer" in names(rewritten), case


@settings(max_examples=12, deadline=None)
@given(
    channels=st.integers(1, 6),
    growth=st.integers(1, 5),
    depth=st.integers(1, 4),
    res_scale=st.sampled_from([1.0, 0.2]),
    batch=st.integers(1, 3),
)
def test_consecutive_residual_dense_blocks_are_exact(
    channels: int, growth: int, depth: int, res_scale: float, batch: int
) -> None:
    blocks = [ResidualDenseBlock(channels, growth=growth, depth=depth, res_scale=res_scale) for _ in range(2)]
    net = around(nn.Sequential(*blocks), channels=channels)
    rewritten = optimize(net)
    lr = image(net, 5, 4, batch=batch)
    for given_lr in (lr, lr.contiguous(memory_format=torch.channels_last), lr.flip(3).flip(3)):
        with torch.no_grad():
            assert relative_error(rewritten(given_lr), net(given_lr)) <= EXACT


class Skipping(nn.Module):
    """A block whose input is read again after it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        return torch.cat((x, y, self.block(x)), 1)


HEADS = {
    "dense block": lambda: DenseBlock(3, growth=3, depth=2),
    "dense block that overwrites": lambda: DenseBlock(3, growth=3, depth=2, layer=overwriting_layer),
    "residual block": lambda: nn.Sequential(ResidualBlock(3), conv(3, 9)),
    "residual block with in-place activation": lambda: nn.Sequential(ResidualBlock(3, out_act=OVERWRITING), conv(3, 9)),
    "gated block": lambda: nn.Sequential(RCAB(3, reduction=1), conv(3, 9)),
    "activation": lambda: nn.Sequential(nn.ReLU(), conv(3, 9)),
    "block after a rescaling": lambda: nn.Sequential(Rescale(2.0), OVERWRITING(), conv(3, 9)),
}


def test_image_is_never_written() -> None:
    for (name, head), (container, channels) in itertools.product(HEADS.items(), ((nn.Sequential, 9), (Skipping, 21))):
        checked(around(head=container(head()), body=conv(channels, 6, 1)), case=(name, container))


def test_input_that_is_read_again_is_not_written() -> None:
    for block in (ResidualBlock(6), RCAB(6, reduction=2), ResidualGroup(6, depth=1)):
        checked(around(Skipping(block), out_channels=18), case=type(block))


@settings(max_examples=12, deadline=None)
@given(
    res_scale=st.sampled_from([1.0, 0.1, -2.0]),
    norm=st.sampled_from([None, nn.BatchNorm2d, nn.InstanceNorm2d]),
    out_act=st.sampled_from([None, nn.ReLU, OVERWRITING, nn.PReLU]),
)
def test_gated_blocks_become_one_operation(res_scale: float, norm: type | None, out_act: partial | None) -> None:
    attention = partial(ChannelAttention, reduction=2)
    block = ResidualBlock(6, norm=norm, attention=attention, res_scale=res_scale, out_act=out_act)
    for without in (all_but("gated_residual"), ()):
        assert "gated_residual" in names(checked(around(block), (3, 3), (5, 4), without=without))


class Hardened(ChannelAttention):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x).round()


class Softened(ChannelAttention):
    def gate(self, x: Tensor) -> Tensor:
        return super().gate(x).sqrt()


def test_custom_attention_keeps_its_forward_and_gate() -> None:
    hardened = around(ResidualBlock(6, attention=partial(Hardened, reduction=2)))
    assert names(checked(hardened, **GATED)) == set()
    checked(around(ResidualBlock(6, attention=partial(Softened, reduction=2))), **GATED)


class Doubled(ResidualBlock):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x


def test_block_with_a_custom_forward_keeps_it() -> None:
    for attention in (None, partial(ChannelAttention, reduction=2)):
        net = around(Doubled(6, norm=nn.BatchNorm2d, attention=attention, res_scale=0.3))
        rewritten = checked(net, case=attention, without=["value_range_folding"])
        assert isinstance(rewritten.body, Doubled), attention


ACTIVATIONS = {
    "relu": (nn.ReLU, True),
    "leaky": (partial(nn.LeakyReLU, 0.2), True),
    "rising leaky": (partial(nn.LeakyReLU, -0.5), None),
    "leaky above one": (partial(nn.LeakyReLU, 2.0), None),
    "overwriting": (OVERWRITING, None),
    "prelu": (nn.PReLU, False),
    "relu6": (nn.ReLU6, None),
    "tanh": (nn.Tanh, False),
}
"""Activation -> its class and whether it must be rewritten, None if either is correct."""


def test_outputs_and_gradients_of_activations_are_exact() -> None:
    for name, (act, is_rewritten) in ACTIVATIONS.items():
        net = around(nn.Sequential(conv(6, 6), act(), ResidualBlock(6, act=act, out_act=act)))
        rewritten = checked(net, case=name, **IN_PLACE)
        applied = [decision for decision in rewritten.rewrites.applied if decision.reason == "in-place activation"]
        assert is_rewritten is None or bool(applied) is is_rewritten, name
        lr, other = (image(net, 5, 4).requires_grad_() for _ in range(2))
        (gradient,) = torch.autograd.grad(rewritten(lr).square().sum(), lr)
        (expected,) = torch.autograd.grad(net(other).square().sum(), other)
        assert relative_error(gradient, expected) <= 10 * EXACT, name


class Twice(nn.ReLU):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_shared_and_custom_activations_are_exact() -> None:
    act = nn.ReLU()
    body = nn.Sequential(act, conv(6, 6), act, Skipping(nn.Sequential(act, conv(6, 6), act)), conv(18, 6), Twice())
    rewritten = checked(around(body), **IN_PLACE)
    assert isinstance(rewritten.body[-1], Twice)
    assert not rewritten.body[0].inplace


class Reading(nn.Module):
    """A sequence of layers, all of whose outputs are kept."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return torch.cat(outputs, 1)


class Peeking(Reading):
    """A sequence, followed by another call of its first layer."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.layers(x), self.layers[0](x)), 1)


LAYER_LISTS = {
    "activation": lambda: (conv(6, 6), nn.ReLU()),
    "norm": lambda: (conv(6, 6), nn.BatchNorm2d(6)),
    "range": lambda: (conv(6, 3), Rescale(2.0), Rescale(0.3), conv(3, 6)),
}


def test_sequence_whose_layers_also_run_alone_is_exact() -> None:
    for kind, name in itertools.product((Reading, Peeking), LAYER_LISTS):
        widths = {"activation": 12, "norm": 12, "range": 15 if kind is Reading else 9}
        checked(around(kind(*LAYER_LISTS[name]()), out_channels=widths[name]), case=(kind, name))


class Averaging(nn.Module):
    """An attention whose output is an expanded view."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True).expand_as(x)


BRANCHES = {
    "scaled": lambda: ResidualBlock(6, res_scale=0.3),
    "expanded": lambda: ResidualBlock(6, attention=lambda channels: Averaging()),
    "normalized": lambda: ResidualBlock(6, norm=nn.BatchNorm2d),
    "without convolution": lambda: ResidualBlock(6, attention=lambda channels: nn.Hardtanh(inplace=True)),
}


def test_sums_after_anything_but_a_convolution_are_kept() -> None:
    for name, build in BRANCHES.items():
        rewritten = checked(around(build()), case=name, **IN_PLACE)
        assert "in-place sum" not in [decision.reason for decision in rewritten.rewrites.applied], name


def test_block_that_broadcasts_its_branch_is_exact() -> None:
    block = ResidualBlock(6)
    block.conv2 = conv(6, 1)
    checked(around(block))


def test_buffers_and_sums_are_close_in_half_precision() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        blocks = [ResidualDenseBlock(6, growth=4, depth=2), ResidualBlock(6), RCAB(6, reduction=2)]
        net = around(nn.Sequential(*blocks)).to(dtype)
        rewritten = optimize(net)
        assert {parameter.dtype for parameter in rewritten.parameters()} == {dtype}
        assert_equal(rewritten, net, (5, 6), tolerance=0.1, case=dtype)

"""Factory arguments of all blocks and upsamplers, and `repr` without empty slots."""

import inspect
from functools import partial

import pytest
import torch
from torch import nn

from helpers.block_cases import BLOCK_CASES
from srblocks import blocks, upsampling
from srblocks.blocks import ACTIVATIONS, ChannelAttention, ResidualBlock, ResidualGroup, activation, conv

BUILDERS = {
    "EnhancedSpatialAttention": partial(blocks.EnhancedSpatialAttention, 8),
    "FeatureDistillationBlock": partial(blocks.FeatureDistillationBlock, 8),
    "InformationDistillationBlock": partial(blocks.InformationDistillationBlock, 8),
    "LocalFeatureBlock": partial(blocks.LocalFeatureBlock, 8),
    "ConvGate": partial(blocks.ConvGate, 8),
    "PixelUnshuffleDown": partial(upsampling.PixelUnshuffleDown, 3, 2, out_channels=8),
    "ResidualDenseLayers": partial(blocks.ResidualDenseLayers, 8, growth=4, depth=2),
    "SCPA": partial(blocks.SCPA, 8),
    "SPAB": partial(blocks.SPAB, 8),
    "CascadingBlock": partial(blocks.CascadingBlock, 8),
    "CrossScaleNonLocal": partial(blocks.CrossScaleNonLocal, 8, 2),
    "DeconvUp": partial(upsampling.DeconvUp, 8, 2),
    "DenseBlock": partial(blocks.DenseBlock, 8),
    "DownProjection": partial(upsampling.DownProjection, 8, 2),
    "InterpolateUp": partial(upsampling.InterpolateUp, 8, 2),
    "LaplacianLevel": partial(upsampling.LaplacianLevel, 8, body=conv(8, 8)),
    "LaplacianUp": partial(upsampling.LaplacianUp, 8, 2),
    "MemoryBlock": partial(blocks.MemoryBlock, 8, memories=1, recursions=1),
    "MultiSourceProjection": partial(blocks.MultiSourceProjection, 8, 2),
    "NearestConvUp": partial(upsampling.NearestConvUp, 8, 2),
    "NonLocal": partial(blocks.NonLocal, 8, inner_channels=4),
    "PixelShuffleUp": partial(upsampling.PixelShuffleUp, 8, 2),
    "PreActivatedConv": partial(blocks.PreActivatedConv, 8, 8),
    "RCAB": partial(blocks.RCAB, 16),
    "RecursiveBlock": partial(blocks.RecursiveBlock, 8, recursions=1),
    "ResidualBlock": partial(blocks.ResidualBlock, 8),
    "ResidualDenseBlock": partial(blocks.ResidualDenseBlock, 8),
    "ResidualGroup": partial(blocks.ResidualGroup, 8, depth=1),
    "UpProjection": partial(upsampling.UpProjection, 8, 2),
}


def factory_arguments(cls: type) -> list[str]:
    """Return the parameters of a constructor that take factories."""
    parameters = inspect.signature(cls).parameters.values()
    return [parameter.name for parameter in parameters if "Callable" in str(parameter.annotation)]


CLASSES = {
    cls.__name__: cls
    for namespace in (blocks, upsampling)
    for cls in vars(namespace).values()
    if inspect.isclass(cls) and issubclass(cls, nn.Module) and factory_arguments(cls)
}


def test_every_class_with_factory_arguments_is_tested() -> None:
    assert set(BUILDERS) == set(CLASSES)


def test_factory_arguments_reject_modules_and_other_values() -> None:
    for name, build in BUILDERS.items():
        for argument in factory_arguments(CLASSES[name]):
            message = f"^{argument} must be a factory, got a ReLU module; pass the class ReLU"
            with pytest.raises(TypeError, match=message):
                build(**{argument: nn.ReLU()})
            with pytest.raises(TypeError, match=f"^{argument} must be a factory of modules such as a class, got 3$"):
                build(**{argument: 3})


def test_activations_by_name() -> None:
    for name, build in BUILDERS.items():
        for argument in {"act", "out_act"} & set(factory_arguments(CLASSES[name])):
            module = build(**{argument: "silu"})
            assert any(isinstance(layer, nn.SiLU) for layer in module.modules()), name
            message = rf"^{argument} must be one of .*, got 'reluu'; did you mean 'relu'\?$"
            with pytest.raises(ValueError, match=message):
                build(**{argument: "reluu"})


def test_activation() -> None:
    for name, factory in ACTIVATIONS.items():
        assert type(activation(name)) is factory
    assert type(activation(None)) is nn.Identity
    assert activation("relu") is not activation("relu")
    with pytest.raises(TypeError, match=r"^act must return a torch\.nn\.Module, got int$"):
        activation(lambda: 3)


def test_attention_module_raises_with_a_hint() -> None:
    with pytest.raises(TypeError, match=r"got a ChannelAttention module; .*partial\(ChannelAttention, \.\.\.\)"):
        ResidualBlock(64, attention=ChannelAttention(64))


def test_every_block_of_one_argument_fits_a_residual_group() -> None:
    x = torch.rand(1, 16, 8, 8)
    for block in (blocks.RCAB, blocks.RDB, blocks.RRDB, blocks.CascadingBlock, blocks.EfficientResidualBlock):
        assert ResidualGroup(16, depth=1, block=block)(x).shape == x.shape


def test_repr_has_no_empty_slots() -> None:
    for case in BLOCK_CASES.values():
        text = repr(case.build())
        assert "): Identity()" not in text
        assert "): None" not in text

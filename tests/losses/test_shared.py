"""Errors, shapes and dtypes common to several losses."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from losses.samples import GRAY, images
from srblocks.losses import (
    CharbonnierLoss,
    ContentLoss,
    DualRegressionLoss,
    RecursiveSupervisionLoss,
    SupervisedLoss,
    TextureLoss,
    TotalVariationLoss,
)

PAIRS = [CharbonnierLoss(), ContentLoss(nn.AdaptiveAvgPool2d(1)), TextureLoss(nn.Identity())]
LISTS = [SupervisedLoss(nn.L1Loss()), DualRegressionLoss(nn.ModuleList([nn.AvgPool2d(2)])), RecursiveSupervisionLoss()]


def test_targets_of_another_shape_raise() -> None:
    for loss in PAIRS:
        for shape in ((1, 3, 4, 1), (1, 1, 4, 4), (3, 4, 4), (2, 3, 4, 4)):
            shapes = re.escape(f"got (1, 3, 4, 4) and {shape}")
            with pytest.raises(
                ValueError, match=f"{type(loss).__name__}: sr and hr must have the same shape, {shapes}"
            ):
                loss(torch.rand(1, 3, 4, 4), torch.rand(shape))


def test_single_tensor_instead_of_a_list_raises() -> None:
    for loss in LISTS:
        expected = r"a list of images such as net.intermediate_outputs\(lr\), got a tensor"
        with pytest.raises(TypeError, match=f"{type(loss).__name__}: outputs must be {expected}"):
            loss(torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4))


def test_lists_of_different_lengths_raise() -> None:
    output = torch.rand(1, 3, 4, 4)
    for loss in LISTS[:2]:
        for outputs, targets in (([output] * 2, [output]), ([output], [output] * 2), ([], [])):
            counts = f"got {len(outputs)} outputs and {len(targets)} targets"
            match = f"{type(loss).__name__}: expected one target per output or a single HR image, {counts}"
            with pytest.raises(ValueError, match=match):
                loss(outputs, targets)


def test_outputs_of_another_shape_raise() -> None:
    outputs = [torch.rand(1, 3, 4, 4), torch.rand(1, 3, 8, 1)]
    for loss in LISTS:
        targets = torch.rand(1, 3, 4, 4) if isinstance(loss, RecursiveSupervisionLoss) else [outputs[0]] * 2
        match = r"output 1 and (target 1|hr) must have the same shape, got \(1, 3, 8, 1\) and \(1, 3, 4, 4\)"
        with pytest.raises(ValueError, match=match):
            loss(outputs, targets)


def test_wrong_number_of_output_weights_raises() -> None:
    loss = SupervisedLoss(nn.L1Loss(), weights=[1, 1, 1])
    with pytest.raises(ValueError, match=r"SupervisedLoss: expected one weight per output \(1\), got 3"):
        loss([torch.rand(GRAY)], torch.rand(GRAY))


def test_losses_are_scalars_with_the_dtype_of_the_images() -> None:
    sr, hr = images(9, 2, 3, 8, 8)
    assert all((y.shape, y.dtype) == ((), torch.float64) for y in (loss(sr, hr) for loss in PAIRS))
    assert TotalVariationLoss()(sr).shape == ()
    outputs = [F.avg_pool2d(sr, 2), sr]
    assert all(loss(outputs, hr).shape == () for loss in LISTS[:2])
    assert LISTS[2]([sr, sr], hr).shape == ()

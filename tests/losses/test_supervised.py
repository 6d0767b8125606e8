"""Losses on intermediate outputs of a network."""

import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losses.samples import GRAY, images
from srblocks.losses import CharbonnierLoss, DualRegressionLoss, RecursiveSupervisionLoss, SupervisedLoss, targets_for


def test_targets_are_downscaled_with_antialiasing() -> None:
    for size, small in (((8, 12), (4, 6)), ((16, 16), (4, 8)), ((9, 7), (3, 7))):
        hr = torch.rand(2, 3, *size, dtype=torch.float64)
        reduced, same = targets_for([torch.zeros(2, 3, *small), torch.zeros(2, 3, *size)], hr)
        assert same is hr
        expected = hr
        for axis, (a, b) in enumerate(zip(size, small, strict=True), start=2):
            expected = torch.tensordot(expected, reduction(a, b), ([axis], [1])).movedim(-1, axis)
        torch.testing.assert_close(reduced, expected, rtol=0, atol=1e-12)


def reduction(size: int, small: int) -> Tensor:
    """Return the weights of Keys' cubic with a = -1/2, scaled by the factor, and normalized within the image."""
    factor = size / small
    matrix = torch.zeros(small, size, dtype=torch.float64)
    for row in range(small):
        for column in range(size):
            x = abs((column + 0.5) / factor - (row + 0.5))
            if x < 1:
                matrix[row, column] = 1.5 * x**3 - 2.5 * x**2 + 1
            elif x < 2:
                matrix[row, column] = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return matrix / matrix.sum(1, keepdim=True)


def test_targets_of_invalid_outputs_raise() -> None:
    for shape in ((2, 3, 4, 4), (1, 1, 4, 4), (1, 3, 9, 4), (1, 3, 4, 9), (3, 8, 8), (1, 3, 1, 4, 4)):
        match = rf"output 1 must be .* not larger than hr, got {re.escape(str(shape))} for an hr of \(1, 3, 8, 8\)"
        with pytest.raises(ValueError, match=match):
            targets_for([torch.zeros(1, 3, 4, 4), torch.zeros(shape)], torch.rand(1, 3, 8, 8))


def test_targets_of_no_outputs_raise() -> None:
    with pytest.raises(ValueError, match="targets_for: outputs must hold at least one image"):
        targets_for([], torch.rand(1, 3, 8, 8))


def test_hand_computed_supervised() -> None:
    outputs = [torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 4, 4), 3.0)]
    targets = [torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 4, 4)]
    assert SupervisedLoss(nn.L1Loss())(outputs, targets).item() == 2.5
    assert SupervisedLoss(nn.MSELoss(), weights=[2, 0.25])(outputs, tuple(targets)).item() == 1.5


def test_supervised_downscales_hr_to_targets() -> None:
    (hr,) = images(5, 2, 3, 12, 8, count=1)
    outputs = images(6, 2, 3, 6, 4, count=1) + images(7, 2, 3, 12, 8)
    expected = sum(F.mse_loss(a, b) for a, b in zip(outputs, targets_for(outputs, hr), strict=True))
    torch.testing.assert_close(SupervisedLoss(nn.MSELoss())(outputs, hr), expected)


def test_supervised_of_one_output_equals_the_criterion() -> None:
    sr, hr = images(8, 1, 3, 4, 4)
    assert SupervisedLoss(CharbonnierLoss())([sr], hr) == CharbonnierLoss()(sr, hr)


def test_gradients_reach_every_output() -> None:
    outputs = [torch.rand(1, 3, side, side, requires_grad=True) for side in (2, 4, 8)]
    SupervisedLoss(CharbonnierLoss())(outputs, torch.rand(1, 3, 8, 8)).backward()
    assert all(output.grad is not None and output.grad.abs().sum() > 0 for output in outputs)


def dual_example() -> tuple[nn.ModuleList, list[Tensor], list[Tensor]]:
    duals = nn.ModuleList([nn.Conv2d(3, 3, 3, stride=2, padding=1), nn.Conv2d(3, 3, 2, stride=2)])
    outputs = [torch.rand(1, 3, side, side, requires_grad=True) for side in (3, 6, 12)]
    return duals, outputs, [torch.rand_like(output) for output in outputs]


def test_dual_regression_is_the_sum_of_primary_and_dual_terms() -> None:
    for weight in (0.1, 2.0):
        duals, (y0, y1, y2), (t0, t1, t2) = dual_example()
        loss = DualRegressionLoss(duals, weight=weight)([y0, y1, y2], [t0, t1, t2])
        primary = F.l1_loss(y0, t0) + F.l1_loss(y1, t1) + F.l1_loss(y2, t2)
        dual = F.l1_loss(duals[0](y1), t0) + F.l1_loss(duals[1](y2), t1)
        torch.testing.assert_close(loss, primary + weight * dual)
        assert torch.equal(loss, DualRegressionLoss(duals)([y0, y1, y2], [t0, t1, t2])) == (weight == 0.1)


def test_dual_regression_with_another_criterion() -> None:
    duals, outputs, targets = dual_example()
    loss = DualRegressionLoss(duals, weight=1, criterion=nn.MSELoss())(outputs, targets)
    pairs = [
        *zip(outputs, targets, strict=True),
        (duals[0](outputs[1]), targets[0]),
        (duals[1](outputs[2]), targets[1]),
    ]
    torch.testing.assert_close(loss, sum(F.mse_loss(a, b) for a, b in pairs))


def test_dual_regression_downscales_hr_to_targets() -> None:
    duals, outputs, _ = dual_example()
    hr = torch.rand(1, 3, 12, 12)
    loss = DualRegressionLoss(duals)
    assert torch.equal(loss(outputs, hr), loss(outputs, targets_for(outputs, hr)))


def test_dual_regression_trains_the_duals_and_the_network() -> None:
    duals, outputs, targets = dual_example()
    loss = DualRegressionLoss(duals)
    assert set(loss.parameters()) == set(duals.parameters())
    loss(outputs, targets).backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in [*outputs, *duals.parameters()])
    # Without errors, only the dual terms have gradients, at all images but the smallest.
    perfect = [target.clone().requires_grad_() for target in targets]
    smallest, *others = torch.autograd.grad(loss(perfect, targets), perfect)
    assert not smallest.any() and all(gradient.abs().sum() > 0 for gradient in others)


def test_dual_regression_with_missing_outputs_raises() -> None:
    duals, outputs, targets = dual_example()
    match = r"expected 3 outputs \(one more than duals, coarsest first\), got 2"
    with pytest.raises(ValueError, match=match):
        DualRegressionLoss(duals)(outputs[1:], targets[1:])


def test_dual_to_another_size_raises() -> None:
    _, outputs, targets = dual_example()
    match = r"duals\[0\]\(outputs\[1\]\) and target 0 must have the same shape, got \(1, 3, 6, 6\) and \(1, 3, 3, 3\)"
    with pytest.raises(ValueError, match=match):
        DualRegressionLoss(nn.ModuleList([nn.Identity(), nn.AvgPool2d(2)]))(outputs, targets)


def test_hand_computed_recursive_supervision() -> None:
    hr = torch.zeros(GRAY)
    outputs = [torch.full(GRAY, value) for value in (1.0, 2.0, 4.0, 3.0)]
    # the recursions' mean square is (1 + 4 + 16) / 3 = 7, the result's is 9
    loss = RecursiveSupervisionLoss()
    assert loss(outputs, hr).item() == pytest.approx(7)
    for alpha, expected in ((1.0, 7), (0.0, 9), (0.25, 8.5)):
        loss.alpha = alpha
        assert loss(outputs, hr).item() == pytest.approx(expected)
    assert RecursiveSupervisionLoss(0.5)(outputs, hr).item() == pytest.approx(8)


def test_alpha_decays_from_one_to_zero() -> None:
    loss = RecursiveSupervisionLoss(0.3)
    found = []
    for epoch in (0, 1, 3, 4, 5):
        loss.decay(epoch, epochs=4)
        found.append(loss.alpha)
    assert found == [1, 0.75, 0.25, 0, 0]
    loss.decay(5)
    assert loss.alpha == pytest.approx(0.8)


def test_invalid_epochs_raise() -> None:
    for epoch, epochs in ((-1, 25), (3, 0)):
        match = f"expected epoch >= 0 and epochs >= 1, got epoch={epoch}, epochs={epochs}"
        with pytest.raises(ValueError, match=match):
            RecursiveSupervisionLoss().decay(epoch, epochs=epochs)


def test_invalid_alpha_raises() -> None:
    for alpha in (-0.1, 1.5):
        with pytest.raises(ValueError, match=rf"alpha must be in \[0, 1\], got {alpha}"):
            RecursiveSupervisionLoss(alpha)([torch.rand(GRAY)] * 2, torch.rand(GRAY))


def test_recursive_supervision_of_one_output_raises() -> None:
    with pytest.raises(ValueError, match="expected the images of the recursions and the final output, got 1 output"):
        RecursiveSupervisionLoss()([torch.rand(GRAY)], torch.rand(GRAY))

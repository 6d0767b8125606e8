"""Losses on pixels: Charbonnier, total variation and cycle consistency."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from losses.samples import GRAY, SEEDS, images
from srblocks.losses import CharbonnierLoss, CycleLoss, TotalVariationLoss


def test_hand_computed_charbonnier() -> None:
    sr = torch.tensor([0.0, 3.0, -4.0, 0.0]).view(GRAY)
    hr = torch.tensor([0.0, 0.0, 4.0, 2.5]).view(GRAY)
    # roots of 36, 45, 100 and 42.25
    assert CharbonnierLoss(eps=6)(sr, hr).item() == pytest.approx((6 + math.sqrt(45) + 10 + 6.5) / 4)


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, eps=st.floats(1e-6, 10), height=st.integers(1, 5), width=st.integers(1, 5))
def test_charbonnier_is_l1_up_to_eps(seed: int, eps: float, height: int, width: int) -> None:
    sr, hr = images(seed, 2, 3, height, width)
    loss = CharbonnierLoss(eps)(sr, hr).item()
    l1 = F.l1_loss(sr, hr).item()
    assert l1 <= loss <= l1 + eps
    assert loss > eps
    assert CharbonnierLoss(eps)(hr, hr).item() == pytest.approx(eps, rel=1e-12)


def test_charbonnier_default_eps_and_zero_gradient() -> None:
    sr = torch.zeros(GRAY, requires_grad=True)
    loss = CharbonnierLoss()(sr, torch.zeros(GRAY))
    loss.backward()
    assert loss.item() == pytest.approx(1e-3)
    assert sr.grad is not None and not sr.grad.any()


def test_charbonnier_with_invalid_eps_raises() -> None:
    for eps in (0, -1e-3):
        with pytest.raises(ValueError, match=rf"eps must be positive, got {eps}; use nn.L1Loss"):
            CharbonnierLoss(eps)


def test_hand_computed_total_variation() -> None:
    image = torch.tensor([[0.0, 1.0, 3.0], [5.0, 5.0, 1.0]])
    # down: 5, 4, 2; right: 1, 2, 0, 4
    assert TotalVariationLoss()(image.view(1, 1, 2, 3)).item() == pytest.approx(11 / 3 + 7 / 4)


@settings(deadline=None, max_examples=12)
@given(seed=SEEDS, height=st.integers(2, 5), width=st.integers(2, 5))
def test_invariants_of_total_variation(seed: int, height: int, width: int) -> None:
    (image,) = images(seed, 2, 3, height, width, count=1)
    loss = TotalVariationLoss()
    expected = loss(image).item()
    assert expected > 0
    for same in (image.mT, image.flip(2), image.flip(3), image + 7, -image):
        assert loss(same).item() == pytest.approx(expected, rel=1e-9)
    assert loss(3 * image).item() == pytest.approx(3 * expected)
    assert loss(torch.full_like(image, 0.3)).item() == 0


def test_total_variation_of_single_pixels_raises() -> None:
    for shape in ((1, 3, 1, 4), (1, 3, 4, 1), (5,)):
        with pytest.raises(ValueError, match=r"expected an image .* with H, W >= 2, got \([\d, ]+\)"):
            TotalVariationLoss()(torch.rand(shape))


def test_cycle_compares_with_the_low_resolution_image() -> None:
    sr = torch.tensor([[1.0, 3.0], [5.0, 7.0]]).view(GRAY).requires_grad_()
    lr = torch.full((1, 1, 1, 1), 6.0)
    loss = CycleLoss(lambda image: image.mean((2, 3), keepdim=True))(sr, lr)
    loss.backward()
    assert loss.item() == 2
    assert sr.grad is not None and sr.grad.flatten().tolist() == [-0.25] * 4
    assert CycleLoss(nn.AvgPool2d(2), nn.MSELoss())(sr, lr).item() == 4


def test_cycle_with_a_degradation_to_another_size_raises() -> None:
    match = r"CycleLoss: degrade\(sr\) and lr must have the same shape, got \(1, 3, 4, 4\) and \(1, 3, 8, 8\)"
    with pytest.raises(ValueError, match=match):
        CycleLoss(nn.AvgPool2d(2))(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))

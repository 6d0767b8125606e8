"""Adversarial losses of generator and discriminator."""

import math

import pytest
import torch
from torch import Tensor

from srblocks.losses import AdversarialLoss


def bce(logits: Tensor, label: int) -> float:
    """Return the binary cross-entropy by its formula."""
    total = 0.0
    for logit in logits.flatten().tolist():
        probability = 1 / (1 + math.exp(-logit))
        total -= math.log(probability if label else 1 - probability)
    return total / logits.numel()


def test_vanilla_is_binary_cross_entropy() -> None:
    real, fake = torch.randn(2, 1, 3, 3, dtype=torch.float64), 2 * torch.randn(4, 1, 2, 2, dtype=torch.float64)
    loss = AdversarialLoss("vanilla")
    assert loss.generator(fake).item() == pytest.approx(bce(fake, 1))
    assert loss.discriminator(real, fake).item() == pytest.approx(bce(real, 1) + bce(fake, 0))


def test_vanilla_is_finite_for_confident_discriminators() -> None:
    loss = AdversarialLoss("vanilla")
    fake = torch.tensor([-200.0], requires_grad=True)
    loss.generator(fake).backward()
    assert fake.grad is not None and fake.grad.item() == pytest.approx(-1)
    assert loss.discriminator(torch.tensor([-200.0]), torch.tensor([200.0])).item() == pytest.approx(400)


def test_least_squares_by_hand() -> None:
    loss = AdversarialLoss("least_squares")
    real, fake = torch.tensor([0.0, 3.0]), torch.tensor([2.0, -1.0, 1.0])
    assert loss.generator(fake).item() == pytest.approx((1 + 4 + 0) / 3 / 2)
    assert loss.discriminator(real, fake).item() == pytest.approx((1 + 4) / 2 / 2 + (4 + 1 + 1) / 3 / 2)


def test_hinge_by_hand() -> None:
    loss = AdversarialLoss("hinge")
    real, fake = torch.tensor([0.0, 3.0]), torch.tensor([2.0, -4.0, 0.5])
    assert loss.generator(fake).item() == pytest.approx(0.5)
    assert loss.discriminator(real, fake).item() == pytest.approx((1 + 0) / 2 + (3 + 0 + 1.5) / 3)


def test_gradients_of_generator_and_discriminator_are_opposed() -> None:
    for kind in ("vanilla", "least_squares", "hinge"):
        loss = AdversarialLoss(kind)
        real, fake = torch.tensor([0.3, -0.2], requires_grad=True), torch.tensor([0.2, 0.4], requires_grad=True)
        up_real, down_fake = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
        (up_fake,) = torch.autograd.grad(loss.generator(fake), fake)
        assert (up_real < 0).all(), kind
        assert (down_fake > 0).all(), kind
        assert (up_fake < 0).all(), kind


def test_unknown_kind_raises() -> None:
    with pytest.raises(ValueError, match="kind must be 'vanilla', 'least_squares' or 'hinge', got 'wgan'"):
        AdversarialLoss("wgan")

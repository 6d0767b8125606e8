"""Adversarial losses for generator and discriminator."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F


class AdversarialLoss(nn.Module):
    """Adversarial loss on logits, for the generator and the discriminator.

    D denotes the discriminator's logits (before the sigmoid), sigma the sigmoid and E the mean over all values:

    ``"vanilla"``: ``-E[log sigma(D(real))] - E[log(1 - sigma(D(fake)))]`` for the discriminator and
    ``-E[log sigma(D(fake))]`` for the generator (non-saturating). Goodfellow et al., *Generative Adversarial Nets*,
    NIPS 2014, arXiv:1406.2661, eq. (1) and section 3.

    ``"least_squares"``: ``E[(D(real) - 1)^2] / 2 + E[D(fake)^2] / 2`` and ``E[(D(fake) - 1)^2] / 2``. Mao et al.,
    *Least Squares Generative Adversarial Networks*, ICCV 2017, arXiv:1611.04076, labels 0 and 1.

    ``"hinge"``: ``E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]`` and ``-E[D(fake)]``. Lim and Ye, *Geometric GAN*,
    2017, arXiv:1705.02894.

    Call `generator` and `discriminator`; the module has no ``forward``.

    Args:
        kind: "vanilla", "least_squares" or "hinge".

    Shape:
        Logits of any shape, ``-> ()``: one value per image or per patch; ``real`` and ``fake`` may differ in shape.

    Raises:
        ValueError: `kind` is unknown.

    Examples:
        >>> loss = AdversarialLoss("hinge")
        >>> loss.generator(torch.tensor([2.0])), loss.discriminator(torch.tensor([0.5]), torch.tensor([-2.0]))
        (tensor(-2.), tensor(0.5000))
    """

    def __init__(self, kind: Literal["vanilla", "least_squares", "hinge"]) -> None:
        super().__init__()
        if kind not in ("vanilla", "least_squares", "hinge"):
            raise ValueError(f"AdversarialLoss: kind must be 'vanilla', 'least_squares' or 'hinge', got {kind!r}")
        self.kind = kind

    def generator(self, fake: Tensor) -> Tensor:
        """Return the generator loss for the logits of generated images."""
        if self.kind == "vanilla":
            return -F.logsigmoid(fake).mean()
        if self.kind == "least_squares":
            return (fake - 1).square().mean() / 2
        return -fake.mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator loss; compute `fake` from detached images: ``D(sr.detach())``."""
        if self.kind == "vanilla":
            return -F.logsigmoid(real).mean() - F.logsigmoid(-fake).mean()
        if self.kind == "least_squares":
            return (real - 1).square().mean() / 2 + fake.square().mean() / 2
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

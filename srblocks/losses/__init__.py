"""Losses of the super-resolution literature that torch does not have.

L1 and L2 are torch's own, ``nn.L1Loss()`` and ``nn.MSELoss()``, and fit every `criterion` here. Arguments come in the
order result, target; results are scalars, means unless said. Images are (N, C, H, W) with values in [0, 1].
"""

from .adversarial import AdversarialLoss as AdversarialLoss
from .criterion import Criterion as Criterion
from .features import ContentLoss as ContentLoss
from .features import TextureLoss as TextureLoss
from .features import timm_features as timm_features
from .pixel import CharbonnierLoss as CharbonnierLoss
from .pixel import CycleLoss as CycleLoss
from .pixel import TotalVariationLoss as TotalVariationLoss
from .supervised import DualRegressionLoss as DualRegressionLoss
from .supervised import RecursiveSupervisionLoss as RecursiveSupervisionLoss
from .supervised import SupervisedLoss as SupervisedLoss
from .supervised import targets_for as targets_for

"""Loss functions from the super-resolution literature that torch does not provide.

For L1 and L2 use ``nn.L1Loss()`` and ``nn.MSELoss()``; both can be passed wherever a `criterion` is expected. Arguments
are ordered (output, target). Losses return scalars, averaged over all values unless stated otherwise. Images are
(N, C, H, W) in [0, 1].
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

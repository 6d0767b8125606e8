"""Re-parameterized convolutions: chains and branches in training, one convolution for inference."""

from .branches import EdgeConv as EdgeConv
from .branches import EdgeOrientedConv as EdgeOrientedConv
from .branches import RepVGGConv as RepVGGConv
from .chains import RRRB as RRRB
from .chains import Conv3XC as Conv3XC
from .chains import ConvChain as ConvChain
from .chains import NormedConv as NormedConv
from .kernels import ReparameterizedConv as ReparameterizedConv

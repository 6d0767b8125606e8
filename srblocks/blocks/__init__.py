"""The vocabulary: blocks that keep the size of their input. Upsamplers are in `srblocks.upsampling`."""

from .attention import RCAB as RCAB
from .attention import ChannelAttention as ChannelAttention
from .color import DIV2K_MEAN as DIV2K_MEAN
from .color import MeanShift as MeanShift
from .color import Rescale as Rescale
from .color import normalisation as normalisation
from .conv import conv as conv
from .residual import ResidualBlock as ResidualBlock
from .residual import ResidualGroup as ResidualGroup

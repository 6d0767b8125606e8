"""Super-resolution building blocks and networks for PyTorch, ready to train and to export.

    from srblocks import RCAB, PixelShuffleUp, create_network, load_pretrained

Imports nothing heavier than torch. Networks take and give images (N, C, H, W) with values in [0, 1].
"""

from .blocks import (
    DIV2K_MEAN,
    RCAB,
    ChannelAttention,
    MeanShift,
    Rescale,
    ResidualBlock,
    ResidualGroup,
    conv,
    normalisation,
)
from .checkpoints import CheckpointError, load_checkpoint, load_weights, save_checkpoint
from .frameworks import IterativeUpsampling, PostUpsampling, PreUpsampling, ProgressiveUpsampling
from .init import bilinear_, he_, icnr_
from .network import Network
from .networks import DDBPN, EDSR, ESPCN, FSRCNN, RCAN, SRCNN, VDSR, LapSRN
from .pretrained import list_pretrained, load_pretrained
from .registry import (
    Geometry,
    NetworkSpec,
    UnknownNetworkError,
    create_network,
    list_networks,
    network_name,
    network_spec,
    network_specs,
    register,
)
from .upsampling import (
    BicubicResize,
    DeconvUp,
    DownProjection,
    InterpolateUp,
    LaplacianLevel,
    NearestConvUp,
    PixelShuffleUp,
    UpProjection,
)

__all__ = [
    "DDBPN",
    "DIV2K_MEAN",
    "EDSR",
    "ESPCN",
    "FSRCNN",
    "RCAB",
    "RCAN",
    "SRCNN",
    "VDSR",
    "BicubicResize",
    "ChannelAttention",
    "CheckpointError",
    "DeconvUp",
    "DownProjection",
    "Geometry",
    "InterpolateUp",
    "IterativeUpsampling",
    "LapSRN",
    "LaplacianLevel",
    "MeanShift",
    "NearestConvUp",
    "Network",
    "NetworkSpec",
    "PixelShuffleUp",
    "PostUpsampling",
    "PreUpsampling",
    "ProgressiveUpsampling",
    "Rescale",
    "ResidualBlock",
    "ResidualGroup",
    "UnknownNetworkError",
    "UpProjection",
    "__version__",
    "bilinear_",
    "conv",
    "create_network",
    "he_",
    "icnr_",
    "list_networks",
    "list_pretrained",
    "load_checkpoint",
    "load_pretrained",
    "load_weights",
    "network_name",
    "network_spec",
    "network_specs",
    "normalisation",
    "register",
    "save_checkpoint",
]

__version__ = "0.1.0.dev0"

from .adapter import as_network as as_network
from .blocks import RCAB as RCAB
from .blocks import RDB as RDB
from .blocks import RRDB as RRDB
from .blocks import SPAB as SPAB
from .blocks import BlueprintSeparableConv as BlueprintSeparableConv
from .blocks import CascadingBlock as CascadingBlock
from .blocks import ChannelAttention as ChannelAttention
from .blocks import ContrastAwareAttention as ContrastAwareAttention
from .blocks import Conv3XC as Conv3XC
from .blocks import CrossScaleNonLocal as CrossScaleNonLocal
from .blocks import DenseBlock as DenseBlock
from .blocks import DepthwiseSeparableConv as DepthwiseSeparableConv
from .blocks import EdgeOrientedConv as EdgeOrientedConv
from .blocks import EfficientResidualBlock as EfficientResidualBlock
from .blocks import EnhancedSpatialAttention as EnhancedSpatialAttention
from .blocks import FeatureDistillationBlock as FeatureDistillationBlock
from .blocks import FeatureModulation as FeatureModulation
from .blocks import InformationDistillationBlock as InformationDistillationBlock
from .blocks import LayerNorm2d as LayerNorm2d
from .blocks import LocalFeatureBlock as LocalFeatureBlock
from .blocks import MeanShift as MeanShift
from .blocks import MemoryBlock as MemoryBlock
from .blocks import NonLocal as NonLocal
from .blocks import PixelAttention as PixelAttention
from .blocks import RecursiveBlock as RecursiveBlock
from .blocks import RepVGGConv as RepVGGConv
from .blocks import ResidualBlock as ResidualBlock
from .blocks import ResidualDenseBlock as ResidualDenseBlock
from .blocks import ResidualGroup as ResidualGroup
from .blocks import SecondOrderChannelAttention as SecondOrderChannelAttention
from .blocks import conv as conv
from .checkpoints import load_checkpoint as load_checkpoint
from .checkpoints import load_weights as load_weights
from .checkpoints import save_checkpoint as save_checkpoint
from .color import OnLuma as OnLuma
from .color import OnYCbCr as OnYCbCr
from .color import on_rgb as on_rgb
from .factory import create_network as create_network
from .factory import load_pretrained as load_pretrained
from .frameworks import IterativeUpsampling as IterativeUpsampling
from .frameworks import PostUpsampling as PostUpsampling
from .frameworks import PreUpsampling as PreUpsampling
from .frameworks import ProgressiveUpsampling as ProgressiveUpsampling
from .network import Network as Network
from .networks import BSRN as BSRN
from .networks import CARN as CARN
from .networks import CSNLN as CSNLN
from .networks import DDBPN as DDBPN
from .networks import DRCN as DRCN
from .networks import DRN as DRN
from .networks import DRRN as DRRN
from .networks import DSRN as DSRN
from .networks import ECBSR as ECBSR
from .networks import EDSR as EDSR
from .networks import EFDN as EFDN
from .networks import ESPCN as ESPCN
from .networks import FMEN as FMEN
from .networks import FSRCNN as FSRCNN
from .networks import IMDN as IMDN
from .networks import MDSR as MDSR
from .networks import PAN as PAN
from .networks import PDS as PDS
from .networks import RCAN as RCAN
from .networks import RDN as RDN
from .networks import RFDN as RFDN
from .networks import RLFN as RLFN
from .networks import SAFMN as SAFMN
from .networks import SAFMNPP as SAFMNPP
from .networks import SAN as SAN
from .networks import SPAN as SPAN
from .networks import SPANF3 as SPANF3
from .networks import SPANV2 as SPANV2
from .networks import SRCNN as SRCNN
from .networks import VDSR as VDSR
from .networks import LapSRN as LapSRN
from .networks import MemNet as MemNet
from .networks import MSLapSRN as MSLapSRN
from .networks import MSRResNet as MSRResNet
from .networks import NinaSR as NinaSR
from .networks import ProSR as ProSR
from .networks import RealPLKSR as RealPLKSR
from .networks import REDNet as REDNet
from .networks import RRDBNet as RRDBNet
from .networks import SRDenseNet as SRDenseNet
from .networks import SRResNet as SRResNet
from .networks import SRVGGNetCompact as SRVGGNetCompact
from .networks import list_networks as list_networks
from .networks import network_name as network_name
from .precision import to_precision as to_precision
from .pretrained import list_pretrained as list_pretrained
from .rewrites import optimize as optimize
from .upsampling import BicubicResize as BicubicResize
from .upsampling import DeconvUp as DeconvUp
from .upsampling import DownProjection as DownProjection
from .upsampling import DySample as DySample
from .upsampling import InterpolateUp as InterpolateUp
from .upsampling import LaplacianLevel as LaplacianLevel
from .upsampling import LaplacianUp as LaplacianUp
from .upsampling import NearestConvUp as NearestConvUp
from .upsampling import PixelShuffleUp as PixelShuffleUp
from .upsampling import PixelUnshuffleDown as PixelUnshuffleDown
from .upsampling import PyramidLevel as PyramidLevel
from .upsampling import UpProjection as UpProjection

__all__ = [
    "BSRN",
    "CARN",
    "CSNLN",
    "DDBPN",
    "DRCN",
    "DRN",
    "DRRN",
    "DSRN",
    "ECBSR",
    "EDSR",
    "EFDN",
    "ESPCN",
    "FMEN",
    "FSRCNN",
    "IMDN",
    "MDSR",
    "PAN",
    "PDS",
    "RCAB",
    "RCAN",
    "RDB",
    "RDN",
    "RFDN",
    "RLFN",
    "RRDB",
    "SAFMN",
    "SAFMNPP",
    "SAN",
    "SPAB",
    "SPAN",
    "SPANF3",
    "SPANV2",
    "SRCNN",
    "VDSR",
    "BicubicResize",
    "BlueprintSeparableConv",
    "CascadingBlock",
    "ChannelAttention",
    "ContrastAwareAttention",
    "Conv3XC",
    "CrossScaleNonLocal",
    "DeconvUp",
    "DenseBlock",
    "DepthwiseSeparableConv",
    "DownProjection",
    "DySample",
    "EdgeOrientedConv",
    "EfficientResidualBlock",
    "EnhancedSpatialAttention",
    "FeatureDistillationBlock",
    "FeatureModulation",
    "InformationDistillationBlock",
    "InterpolateUp",
    "IterativeUpsampling",
    "LapSRN",
    "LaplacianLevel",
    "LaplacianUp",
    "LayerNorm2d",
    "LocalFeatureBlock",
    "MSLapSRN",
    "MSRResNet",
    "MeanShift",
    "MemNet",
    "MemoryBlock",
    "NearestConvUp",
    "Network",
    "NinaSR",
    "NonLocal",
    "OnLuma",
    "OnYCbCr",
    "PixelAttention",
    "PixelShuffleUp",
    "PixelUnshuffleDown",
    "PostUpsampling",
    "PreUpsampling",
    "ProSR",
    "ProgressiveUpsampling",
    "PyramidLevel",
    "REDNet",
    "RRDBNet",
    "RealPLKSR",
    "RecursiveBlock",
    "RepVGGConv",
    "ResidualBlock",
    "ResidualDenseBlock",
    "ResidualGroup",
    "SRDenseNet",
    "SRResNet",
    "SRVGGNetCompact",
    "SecondOrderChannelAttention",
    "UpProjection",
    "__version__",
    "as_network",
    "conv",
    "create_network",
    "list_networks",
    "list_pretrained",
    "load_checkpoint",
    "load_pretrained",
    "load_weights",
    "network_name",
    "on_rgb",
    "optimize",
    "save_checkpoint",
    "to_precision",
]

__version__: str

"""The four upsampling strategies: before the network, after it, progressively, iteratively."""

from .iterative import DownProjection as DownProjection
from .iterative import UpProjection as UpProjection
from .post import DeconvUp as DeconvUp
from .post import NearestConvUp as NearestConvUp
from .post import PixelShuffleUp as PixelShuffleUp
from .pre import BicubicResize as BicubicResize
from .pre import InterpolateUp as InterpolateUp
from .progressive import LaplacianLevel as LaplacianLevel
from .progressive import LaplacianUp as LaplacianUp
from .progressive import PyramidLevel as PyramidLevel
from .progressive import activated_convs as activated_convs

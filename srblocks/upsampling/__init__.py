"""Upsamplers: interpolation, pixel shuffle, transposed convolution, Laplacian pyramids and back-projection."""

from .back_projection import DownProjection as DownProjection
from .back_projection import UpProjection as UpProjection
from .dysample import DySample as DySample
from .interpolation import BicubicResize as BicubicResize
from .interpolation import InterpolateUp as InterpolateUp
from .laplacian import LaplacianLevel as LaplacianLevel
from .laplacian import LaplacianUp as LaplacianUp
from .laplacian import PyramidLevel as PyramidLevel
from .laplacian import activated_convs as activated_convs
from .nearest_conv import NearestConvUp as NearestConvUp
from .pixel_shuffle import PixelShuffleUp as PixelShuffleUp
from .pixel_unshuffle import PixelUnshuffle as PixelUnshuffle
from .pixel_unshuffle import PixelUnshuffleDown as PixelUnshuffleDown
from .transposed import DeconvUp as DeconvUp

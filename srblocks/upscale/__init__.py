"""Enlarging pictures of any size: networks, weights files and exported artifacts, tile by tile.

`srblocks-upscale --help` is the command.
"""

from .errors import UpscaleError as UpscaleError
from .errors import WrongOutputError as WrongOutputError
from .opening import of_artifact as of_artifact
from .opening import of_network as of_network
from .opening import open_upscaler as open_upscaler
from .upscaler import Upscaler as Upscaler

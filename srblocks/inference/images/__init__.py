"""Pictures in files, read and written so that nothing is lost: depth, transparency, EXIF, XMP, profile, resolution."""

try:
    import PIL as PIL
except ImportError as error:
    raise ImportError('reading and writing pictures needs Pillow; pip install "srblocks[image]"') from error

from ..formats import FORMATS as FORMATS
from .image import ImageData as ImageData
from .image import ImageFileError as ImageFileError
from .image import check_size as check_size
from .reading import read_image as read_image
from .writing import write_image as write_image

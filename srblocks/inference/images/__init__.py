"""Read and write image files with bit depth, transparency, EXIF, XMP, color profile and resolution."""

from ...errors import MissingLibraryError

try:
    import PIL as PIL
except ImportError as error:
    raise MissingLibraryError("reading and writing images requires Pillow", 'pip install "srblocks[image]"') from error

from ..formats import FORMATS as FORMATS
from .image import ImageFile as ImageFile
from .image import ImageFileError as ImageFileError
from .reading import image_size as image_size
from .reading import read_image as read_image
from .writing import check_size as check_size
from .writing import write_image as write_image

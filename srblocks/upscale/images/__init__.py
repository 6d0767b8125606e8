"""Pictures in files, read and written so that nothing is lost: depth, transparency, EXIF, XMP, profile, resolution."""

try:
    import PIL as PIL
except ImportError as error:
    raise ImportError('reading and writing pictures needs Pillow; pip install "srblocks[image]"') from error

from ..formats import FORMATS as FORMATS
from .picture import Picture as Picture
from .picture import PictureError as PictureError
from .picture import check_size as check_size
from .reading import read_picture as read_picture
from .writing import write_picture as write_picture

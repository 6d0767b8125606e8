"""Export formats: one sub-package each. Importing the table imports none of their libraries."""

from .base import PRECISIONS as PRECISIONS
from .base import Format as Format
from .base import Loaded as Loaded
from .base import Missing as Missing
from .base import WriteContext as WriteContext
from .base import cxx_compiler as cxx_compiler
from .table import FORMATS as FORMATS
from .table import format_of as format_of

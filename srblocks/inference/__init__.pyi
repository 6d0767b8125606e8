from .artifacts import from_artifact as from_artifact
from .errors import UpscaleError as UpscaleError
from .errors import WrongOutputError as WrongOutputError
from .open_model import ModelSource as ModelSource
from .open_model import open_network as open_network
from .open_model import open_upscaler as open_upscaler
from .upscaler import Upscaler as Upscaler
from .upscaler import from_network as from_network

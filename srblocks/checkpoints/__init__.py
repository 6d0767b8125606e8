"""Save networks with their configuration; load them and third-party checkpoints."""

from .errors import CheckpointError as CheckpointError
from .errors import MissingArgumentError as MissingArgumentError
from .errors import UnknownLayoutError as UnknownLayoutError
from .errors import WrongScaleError as WrongScaleError
from .load import load_checkpoint as load_checkpoint
from .load import load_weights as load_weights
from .save import save_checkpoint as save_checkpoint

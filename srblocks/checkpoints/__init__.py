"""Saving networks with their configuration; loading ours and other people's weights."""

from .errors import CheckpointError as CheckpointError
from .errors import UnseenArgumentError as UnseenArgumentError
from .errors import WrongScaleError as WrongScaleError
from .load import load_checkpoint as load_checkpoint
from .load import load_weights as load_weights
from .save import save_checkpoint as save_checkpoint

"""Saving networks with their configuration, and loading weights."""

from .files import CheckpointError as CheckpointError
from .files import load_checkpoint as load_checkpoint
from .files import load_weights as load_weights
from .files import save_checkpoint as save_checkpoint

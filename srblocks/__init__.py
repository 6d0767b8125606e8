"""Super-resolution building blocks and networks for PyTorch."""

from .checkpoints import load_checkpoint as load_checkpoint
from .checkpoints import load_weights as load_weights
from .checkpoints import save_checkpoint as save_checkpoint
from .registry import create_network as create_network
from .registry import network_spec as network_spec

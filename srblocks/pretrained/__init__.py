"""The weights that come with the package; README.md beside this file says how each was made."""

from pathlib import Path

from ..checkpoints import load_checkpoint
from ..network import Network
from ..networks import network_spec

DEFAULT_NETWORK = "fsrcnn"
"""The bundled network that commands use when none is named."""

_FOLDER = Path(__file__).parent


def pretrained_path(name: str, *, scale: int) -> Path | None:
    """Give the bundled weights file of a network at a scale; None when there is none.

    Example:
        >>> pretrained_path("fsrcnn", scale=2).name
        'fsrcnn_x2.safetensors'
    """
    path = _FOLDER / f"{name}_x{scale}.safetensors"
    return path if path.is_file() else None


def list_pretrained() -> list[str]:
    """Give name and scale of all bundled weights.

    Example:
        >>> list_pretrained()
        ['fsrcnn_x2', 'fsrcnn_x3', 'fsrcnn_x4']
    """
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def load_pretrained(name: str, *, scale: int) -> Network:
    """Build a network with its bundled weights, in eval mode.

    Args:
        name: registry name.
        scale: enlargement per side.

    Raises:
        ValueError: no weights of that network and scale are bundled.
        UnknownNetworkError: there is no network of that name.

    Example:
        >>> load_pretrained("fsrcnn", scale=2).config["width"]
        56
    """
    path = pretrained_path(name, scale=scale)
    if path is None:
        raise ValueError(
            f"no weights are bundled for {network_spec(name).name} at scale {scale}; "
            f"bundled are {', '.join(list_pretrained())}; give a file of weights"
        )
    return load_checkpoint(path)

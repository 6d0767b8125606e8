"""Bundled weights; README.md in this folder describes how they were trained."""

from pathlib import Path

DEFAULT_NETWORK = "fsrcnn"
"""Bundled network that commands use by default."""

_FOLDER = Path(__file__).parent


def pretrained_path(name: str, *, scale: int) -> Path | None:
    """Return the bundled weights file of a network at a scale, or None if there is none.

    Examples:
        >>> pretrained_path("fsrcnn", scale=2).name
        'fsrcnn_x2.safetensors'
    """
    path = _FOLDER / f"{name}_x{scale}.safetensors"
    return path if path.is_file() else None


def list_pretrained() -> list[str]:
    """Return the names of all bundled weights, with their scales.

    Examples:
        >>> list_pretrained()
        ['fsrcnn_x2', 'fsrcnn_x3', 'fsrcnn_x4']
    """
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))

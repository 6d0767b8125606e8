"""Errors of checkpoint loading."""

from collections.abc import Mapping

from ..errors import SRBlocksError


class CheckpointError(SRBlocksError, ValueError):
    """A weights file is corrupt, has an unknown layout, or belongs to another network.

    Args:
        cause: see `srblocks.errors.SRBlocksError`.
        remedy: see `srblocks.errors.SRBlocksError`.
        arguments: see below.

    Attributes:
        arguments: arguments of `load_checkpoint` that can solve the problem -> their legal values, for messages.
    """

    exit_code = 9

    def __init__(self, cause: str, remedy: str = "", *, arguments: Mapping[str, str] | None = None) -> None:
        super().__init__(cause, remedy)
        self.arguments = dict(arguments or {})


class UnknownLayoutError(CheckpointError):
    """The tensor names of a weights file match no known layout."""


class MissingArgumentError(CheckpointError):
    """The tensor shapes do not reveal a constructor argument, and the caller did not pass it."""

    exit_code = 2


class WrongScaleError(CheckpointError):
    """The weights do not support the requested scale."""

    exit_code = 2


class LimitError(ValueError):
    """A file would take far more memory or time than any real checkpoint."""


def printable(name: str, max_length: int = 80) -> str:
    """Return a name from a file for a message, escaped and shortened if necessary."""
    return name if name.isprintable() and len(name) <= max_length else f"{ascii(name)[: max_length - 20]}..."

"""What can be wrong with a weights file."""


class CheckpointError(ValueError):
    """A weights file that is corrupt, foreign, or of another network."""


class UnknownLayoutError(CheckpointError):
    """A weights file whose names are in no known layout."""


class UnseenArgumentError(CheckpointError):
    """A weights file that does not show an argument of its network, which the user must give."""


class WrongScaleError(CheckpointError):
    """A weights file of another scale."""


class BoundError(ValueError):
    """A file that asks for far more memory or time than any network needs."""


def shown(name: str, longest: int = 80) -> str:
    """Give a name from a file for a message: printable, and not too long."""
    return name if name.isprintable() and len(name) <= longest else f"{ascii(name)[: longest - 20]}..."

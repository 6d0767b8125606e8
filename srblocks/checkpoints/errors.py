"""What can be wrong with a weights file."""


class CheckpointError(ValueError):
    """A weights file that is corrupt, foreign, or of another network."""


class UnseenArgumentError(CheckpointError):
    """A weights file that does not show an argument of its network, which the user must give."""


class WrongScaleError(CheckpointError):
    """A weights file of another scale."""

"""The error of everything that can be wrong with a weights file."""


class CheckpointError(ValueError):
    """A weights file that is corrupt, foreign, or of another network."""

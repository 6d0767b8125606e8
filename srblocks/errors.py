"""The base class of the errors that commands report."""


class SRBlocksError(Exception):
    """An error with one cause, one remedy and the exit code of a command.

    ``str(error)`` is ``"cause; remedy"``. Nothing parses it: read `cause` and `remedy`.

    Args:
        cause: what was wrong.
        remedy: what to do about it; empty if there is nothing to suggest.

    Attributes:
        cause: see above.
        remedy: see above.
        exit_code: exit code of a command that ends with this error.
    """

    exit_code = 1

    def __init__(self, cause: str, remedy: str = "", *, exit_code: int | None = None) -> None:
        super().__init__(f"{cause}; {remedy}" if remedy else cause)
        self.cause = cause
        self.remedy = remedy
        if exit_code is not None:
            self.exit_code = exit_code


class MissingLibraryError(SRBlocksError, ImportError):
    """An optional library is not installed; the remedy names the extra that installs it."""

    exit_code = 4

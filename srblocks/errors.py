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


class ArgumentError(SRBlocksError, ValueError):
    """An argument is wrong or missing.

    Args:
        cause: what was wrong.
        remedy: what to do about it; empty if there is nothing to suggest.
        argument: name of the argument of the function; empty if `cause` names it.

    Attributes:
        argument: see above; the text of the error starts with it.
    """

    exit_code = 2

    def __init__(self, cause: str, remedy: str = "", *, argument: str = "") -> None:
        super().__init__(cause, remedy)
        self.argument = argument

    def __str__(self) -> str:
        """Return the text, such as ``"without: unknown rewrite fold; available: norm_folding"``."""
        return f"{self.argument}: {super().__str__()}" if self.argument else super().__str__()


class MissingLibraryError(SRBlocksError, ImportError):
    """An optional library is not installed; the remedy names the extra that installs it."""

    exit_code = 4

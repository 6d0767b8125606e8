"""Errors with a number: its hundreds are the exit code of the command."""


class ExportError(Exception):
    """One cause and one remedy.

    Args:
        number: 2xx usage, 3xx output, 4xx backend or device missing, 5xx graph not exportable, 6xx verification failed,
            7xx build failed, 8xx artifact does not fit this host, 9xx bad input file.
        cause: what was given and why it cannot be.
        remedy: what to do.
    """

    def __init__(self, number: int, cause: str, remedy: str) -> None:
        super().__init__(f"E{number} {cause}; {remedy}")
        self.number = number
        self.exit_code = number // 100


def first_line(error: BaseException) -> str:
    """Give the first line of an error of some library, at most 200 characters; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


class InputError(ExportError, ValueError):
    """An artifact was called with an input that it does not take."""

"""Errors with a number: its hundreds are the exit code of the command."""

import logging


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


def unforeseen(failure: Exception, where: str = "") -> ExportError:
    """Give an error that nobody foresaw a number, and its traceback to the log for --verbose."""
    from srblocks._utils.memory import is_out_of_memory

    logging.getLogger("srblocks_export").debug("internal error", exc_info=failure)
    if is_out_of_memory(failure):
        return ExportError(701, f"{where}there is not enough memory", "free some, or export a smaller network or shape")
    cause = f"{where}internal error, {type(failure).__name__}: {first_line(failure)}"
    return ExportError(100, cause, "please report it with the output of --verbose")


class InputError(ExportError, ValueError):
    """An artifact was called with an input that it does not take."""

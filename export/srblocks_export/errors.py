"""Numbered errors; the hundreds of a number are the exit code of the command."""

import logging

from srblocks.errors import ArgumentError, SRBlocksError


class ExportError(SRBlocksError):
    """An error of an export or of an artifact, with a number, a cause and a remedy.

    Args:
        number: 2xx usage, 3xx output, 4xx backend or device missing, 5xx graph not exportable, 6xx verification failed,
            7xx build failed, 8xx artifact does not fit this host, 9xx bad input file.
        cause: what was wrong.
        remedy: what to do about it; empty if there is nothing to suggest.

    Attributes:
        number: see above.
    """

    def __init__(self, number: int, cause: str, remedy: str = "") -> None:
        super().__init__(cause, remedy, exit_code=number // 100)
        self.number = number

    def __str__(self) -> str:
        """Return the number and the text, such as ``"E301 out.onnx exists; use --force to overwrite it"``."""
        return f"E{self.number} {super().__str__()}"


class InputError(ExportError, ValueError):
    """An artifact does not accept the input that it was called with."""


def invalid_option(error: ValueError) -> ExportError:
    """Return E200 for an invalid argument of a function, under the name of its option where that is known."""
    if isinstance(error, ArgumentError):
        option = f"--{error.argument.replace('_', '-')}: " if error.argument else ""
        return ExportError(200, f"{option}{error.cause}", error.remedy)
    return ExportError(200, first_line(error))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, with the second one if it ends with a colon, or the error's type."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return " ".join(line.strip() for line in lines[: 2 if lines[0].endswith(":") else 1])[:200]


def internal_error(failure: Exception, where: str = "") -> ExportError:
    """Return the error to report for an unexpected exception; its traceback goes to the log for ``--verbose``."""
    from srblocks._utils.memory import is_out_of_memory

    logging.getLogger("srblocks_export").debug("internal error", exc_info=failure)
    if is_out_of_memory(failure):
        return ExportError(701, f"{where}not enough memory", "free some memory, or use a smaller network or shape")
    cause = f"{where}internal error, {type(failure).__name__}: {first_line(failure)}"
    return ExportError(100, cause, "please report it with the output of --verbose")

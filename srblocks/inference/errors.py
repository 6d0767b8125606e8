"""What keeps pictures from being enlarged, and how a command ends then."""

import io
import sys
from collections.abc import Callable

from .._utils.console import OutputError, echo_error, session
from .._utils.memory import is_out_of_memory


class UpscaleError(Exception):
    """What keeps a command from running.

    Args:
        code: exit code of the command.
        message: what was given, and what to do.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def ending(error: Exception) -> UpscaleError:
    """Give what ends a command its exit code and one line; what nobody foresaw is raised again."""
    if isinstance(error, UpscaleError):
        return error
    if isinstance(error, (OutputError, ImportError)):
        return UpscaleError(3 if isinstance(error, OutputError) else 4, str(error))
    if is_out_of_memory(error):
        return UpscaleError(9, "there is not enough memory for the model")
    if isinstance(error, OSError):
        return UpscaleError(9, f"{error.filename} cannot be read ({error.strerror})")
    raise error


class WrongOutputError(ValueError):
    """A model gave something that is no picture of the size that it should have."""


def failure(error: Exception, remedy: str = "give a smaller one") -> str:
    """Say in one line what keeps one picture from being enlarged; where memory is short, with a remedy.

    Example:
        >>> failure(KeyError("name"))
        "KeyError: 'name'"
    """
    if is_out_of_memory(error):
        return f"there is not enough memory for it; {remedy}"
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, OSError):
        return error.strerror or text
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"


def exit_code_of(command: str, run: Callable[[], int], *, interrupted: str = "interrupted") -> int:
    """Run a command and give its exit code; what ends it early is said in one line.

    Args:
        command: its name.
        run: what it does; gives the exit code.
        interrupted: what to say after Ctrl-C.
    """
    with session():
        try:
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="backslashreplace")
            return run()
        except KeyboardInterrupt:
            echo_error(f"{command}: {interrupted}")
            return 130
        except Exception as error:
            end = ending(error)
            echo_error(f"{command}: {end}")
            return end.code

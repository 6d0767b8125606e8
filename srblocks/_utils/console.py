"""Safe console output of the commands: one-line errors, checked writes to stdout, SIGTERM."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Generator
from pathlib import Path

from ..errors import SRBlocksError


class OutputError(SRBlocksError):
    """Standard output cannot be written."""

    exit_code = 3


def one_line(message: str) -> str:
    r"""Escape line breaks and control characters.

    Examples:
        >>> one_line("größe\n\x1b[31m")
        'größe\\n\\x1b[31m'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in message)


def echo_error(message: object) -> None:
    """Print one line on standard error; a closed standard error is ignored."""
    with contextlib.suppress(OSError):
        print(one_line(str(message)), file=sys.stderr, flush=True)


@contextlib.contextmanager
def session() -> Generator[None, None, None]:
    """Context in which SIGTERM raises KeyboardInterrupt and closed standard streams are replaced by the null device."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 (open until the process ends)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def standard_output() -> Generator[None, None, None]:
    """Context that flushes standard output at its end. A reader that closed the pipe is not an error.

    Raises:
        OutputError: the output cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        if not isinstance(error, BrokenPipeError):
            raise OutputError(f"the output cannot be written ({error.strerror})") from error

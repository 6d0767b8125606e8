"""What the commands have in common: errors of one line, and output that arrives or is known not to."""

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Generator
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Parses a command line, and says in one line what is wrong with it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)
        self.add_argument("--version", action="version", version=f"%(prog)s {metadata.version('srblocks')}")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line."""
        self.exit(2, f"{self.prog}: {one_line(message)}; see {self.prog} --help\n")


class OutputError(Exception):
    """Standard output cannot be written."""


def one_line(message: str) -> str:
    r"""Escape what would garble a terminal or begin another line.

    Example:
        >>> one_line("größe\n\x1b[31m")
        'größe\\n\\x1b[31m'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in message)


def echo_error(message: str) -> None:
    """Print on standard error. Where that cannot be written nobody reads it, and the work goes on."""
    with contextlib.suppress(OSError):
        print(one_line(message), file=sys.stderr, flush=True)


@contextlib.contextmanager
def session() -> Generator[None, None, None]:
    """Run a command in a block: SIGTERM ends it as Ctrl-C does, and closed standard streams lead nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 (for as long as the process lives)
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
    """Print in a block, at whose end all is written. A reader that has read enough and closed the pipe is no error.

    Raises:
        OutputError: the output cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end of the process
        if not isinstance(error, BrokenPipeError):
            raise OutputError(f"the output cannot be written ({error.strerror})") from error

"""What the commands have in common: errors of one line, and output that arrives or is known not to."""

import argparse
import contextlib
import os
import sys
from collections.abc import Generator
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Parses a command line, and says in one line what is wrong with it."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class OutputError(Exception):
    """Standard output cannot be written."""


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

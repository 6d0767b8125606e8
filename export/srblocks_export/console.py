"""What the command prints, and where that cannot be written. Importing this imports no torch."""

import contextlib
import sys
from collections.abc import Generator

from .errors import ExportError


def one_line(message: str) -> str:
    """Escape what would garble a terminal or begin another line, as `srblocks._utils.console` does, which needs torch."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in message)


def echo_error(message: object) -> None:
    """Print on standard error. Where that cannot be written nobody reads it, and the work goes on."""
    if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison] (it is where it was closed)
        with contextlib.suppress(OSError):
            print(f"srblocks-export: {one_line(str(message))}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def standard_output() -> Generator[None, None, None]:
    """Print in a block, at whose end all is written; see `srblocks._utils.console.standard_output`.

    Raises:
        ExportError: E302, the output cannot be written.
    """
    from srblocks._utils.console import OutputError, standard_output

    try:
        with standard_output():
            yield
    except OutputError as error:
        raise ExportError(302, str(error), "free some space, or send it elsewhere") from error

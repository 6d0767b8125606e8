"""One process at a time in a folder. Importing this imports nothing heavy."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None, None, None]:
    """Keep others who ask for this folder out; the lock ends with the process, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows has no flock; two exports to one folder at the same time are then unprotected
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

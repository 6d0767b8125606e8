"""Inter-process lock of a folder, from the standard library alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None, None, None]:
    """Hold an exclusive lock of a folder; the operating system releases it when the process ends."""
    try:
        import fcntl
    except ImportError:  # Windows has no flock: concurrent exports to one folder are not protected there
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

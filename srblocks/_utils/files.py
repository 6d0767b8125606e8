"""Writing files so that nothing half-written ever stands under its final name."""

import contextlib
import os
import re
import time
import uuid
from collections.abc import Generator
from pathlib import Path

_LONGEST_NAME = 255
"""In bytes, on the usual file systems."""
_TEMPORARY = re.compile(r"\.srblocks-[0-9a-f]{12}-")
_DAY = 24 * 60 * 60


def temporary_name(path: Path) -> Path:
    """Give an unused name beside `path` with its suffix, which nobody takes for a finished file.

    The stem is cut where the name would be longer than file systems take.
    """
    start = f".srblocks-{uuid.uuid4().hex[:12]}-"
    room = _LONGEST_NAME - len(start) - len(os.fsencode(path.suffix))
    stem = os.fsencode(path.stem)[: max(room, 0)].decode(errors="ignore")
    return path.with_name(f"{start}{stem}{path.suffix}")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder: temporary files as old as a day.

    Younger ones may be another process's. What cannot be removed stays.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY.match(path.name) and time.time() - path.lstat().st_mtime > _DAY:
                path.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Move a finished file to its name, with the permissions that new files have here."""
    if os.name == "posix":
        mask = os.umask(0o022)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
    temporary.replace(path)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Generator[Path, None, None]:
    """Give a temporary path beside `path`, and move it to `path` when the block ends without an exception.

    The temporary name keeps the suffix and starts with a dot. After an exception the temporary file is removed and
    what stood under `path` stays.

    Raises:
        OSError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_path(target) as temporary:
        ...     _ = temporary.write_text("done")
        >>> target.read_text()
        'done'
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        yield temporary
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)

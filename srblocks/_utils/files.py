"""Atomic writing of files: a file has its final name only when it is complete."""

import contextlib
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Generator
from pathlib import Path

_LONGEST_NAME = 255
"""Limit of common file systems, in bytes."""
_TEMPORARY = re.compile(r"\.srblocks-[0-9a-f]{12}-")
_DAY = 24 * 60 * 60


def temporary_name(path: Path) -> Path:
    """Return an unused hidden path in the folder of `path`, with its suffix.

    The stem is truncated if the name would exceed the limit of file systems.
    """
    start = f".srblocks-{uuid.uuid4().hex[:12]}-"
    room = _LONGEST_NAME - len(start) - len(os.fsencode(path.suffix))
    stem = os.fsencode(path.stem)[: max(room, 0)].decode(errors="ignore")
    return path.with_name(f"{start}{stem}{path.suffix}")


@contextlib.contextmanager
def scratch_folder() -> Generator[Path, None, None]:
    """Create a folder for temporary files, and remove it with its contents at the end.

    Unlike `tempfile.TemporaryDirectory`, it leaves nothing if Ctrl-C interrupts the creation.

    Raises:
        OSError: the folder cannot be created.
    """
    folder = Path(tempfile.gettempdir()) / f"srblocks-{uuid.uuid4().hex}"
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files older than a day, which killed processes left in a folder.

    Newer ones may belong to a running process. Files that cannot be removed are skipped.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY.match(path.name) and time.time() - path.lstat().st_mtime > _DAY:
                path.unlink(missing_ok=True)


def prepare_folder(folder: Path, *others: Path) -> None:
    """Create a folder, check that it is writable, and remove old temporary files there and in other folders.

    Raises:
        OSError: the folder is not writable.
    """
    probe = temporary_name(folder / "probe")
    folder.mkdir(parents=True, exist_ok=True)
    probe.touch()
    probe.unlink()
    for each in (folder, *others):
        remove_leftovers(each)


def publish(temporary: Path, path: Path) -> None:
    """Move a complete file to its final path, with the default permissions of new files."""
    if os.name == "posix":
        mask = os.umask(0o022)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
    temporary.replace(path)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Generator[Path, None, None]:
    """Yield a temporary path in the folder of `path`; move it to `path` if the block ends without an exception.

    The temporary name keeps the suffix and starts with a dot. After an exception the temporary file is removed and an
    existing `path` is unchanged.

    Raises:
        OSError: the folder is not writable.

    Examples:
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

"""torch's zip archives: deterministic writing and strict reading."""

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

# Debug records contain paths of this machine; the serialization id is a hash that covers them.
_OMITTED = (".debug_pkl", ".data/serialization_id")
_FINALS = re.compile(rb"(?:^  \w+ : Final\[.*\n)+", re.MULTILINE)


def write_archive(archive: io.BytesIO, path: Path) -> None:
    """Copy an archive record by record, without dates and debug records.

    TorchScript lists the constants of a class in hash-table order, which differs between processes; they are sorted.
    """
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for record in source.infolist():
            if record.filename.endswith(_OMITTED):
                continue
            content = source.read(record)
            if record.filename.endswith(".py"):
                content = _FINALS.sub(lambda lines: b"".join(sorted(lines[0].splitlines(keepends=True))), content)
            target.writestr(zipfile.ZipInfo(record.filename), content)


def read_archive(path: Path) -> dict[str, bytes]:
    """Return the records of an archive written by `write_archive`; their checksums are verified.

    Raises:
        ValueError, zipfile.BadZipFile: records are damaged, compressed, duplicate, or overlap.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = {entry.filename for entry in entries}
        if len(names) < len(entries) or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("duplicate or compressed entries; not written by srblocks-export")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("overlapping entries; not written by srblocks-export")
        return {entry.filename: archive.read(entry) for entry in entries}


def pack(records: Mapping[str, bytes]) -> io.BytesIO:
    """Return an archive of exactly these records; other readers of the original file might find different ones."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for name, content in records.items():
            target.writestr(zipfile.ZipInfo(name), content)
    buffer.seek(0)
    return buffer

"""torch's zip archives: written so that the same network gives the same bytes, read so that nothing is hidden."""

import io
import re
import zipfile
from pathlib import Path

# Debug records hold paths of this machine; the id is a hash that covers them.
_LEFT_OUT = (".debug_pkl", ".data/serialization_id")
_FINALS = re.compile(rb"(?:^  \w+ : Final\[.*\n)+", re.MULTILINE)


def write_archive(archive: io.BytesIO, path: Path) -> None:
    """Copy an archive record by record, without dates and debug records.

    TorchScript lists a class's constants in the order of a hash table, which differs between processes: sorted here.
    """
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for record in source.infolist():
            if record.filename.endswith(_LEFT_OUT):
                continue
            content = source.read(record)
            if record.filename.endswith(".py"):
                content = _FINALS.sub(lambda lines: b"".join(sorted(lines[0].splitlines(keepends=True))), content)
            target.writestr(zipfile.ZipInfo(record.filename), content)


def read_archive(path: Path) -> dict[str, bytes]:
    """Give the records of an archive that `write_archive` or its like wrote, each as it was written.

    Raises:
        ValueError, zipfile.BadZipFile: records are damaged, compressed, double, or overlap.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = {entry.filename for entry in entries}
        if len(names) < len(entries) or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its records are double or compressed, as srblocks-export writes none")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("its records overlap")
        return {entry.filename: archive.read(entry) for entry in entries}  # which finds damage by the checksums


def packed(records: dict[str, bytes]) -> io.BytesIO:
    """Give an archive of these records alone: other readers of the file might find others."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for name, content in records.items():
            target.writestr(zipfile.ZipInfo(name), content)
    buffer.seek(0)
    return buffer

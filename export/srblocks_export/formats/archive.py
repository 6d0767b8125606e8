"""torch's zip archives, written so that the same network gives the same bytes."""

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

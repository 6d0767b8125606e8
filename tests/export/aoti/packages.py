"""The command that exports the package of the tests, and its records, to read and edit."""

import json
import zipfile
from pathlib import Path

COMMAND = ("--aoti", "--json", "-q", "-o", "out")
STEM = "archive/data/aotinductor/model/model.wrapper"


def read_records(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_records(path: Path, records: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, record in records.items():
            archive.writestr(name, record)
    return path


def with_metadata(package: Path, path: Path, **changes: object) -> Path:
    """Copy a package with changed metadata, of torch or of srblocks."""
    records = read_records(package)
    metadata = json.loads(records[f"{STEM}_metadata.json"])
    facts = json.loads(metadata["srblocks_facts"])
    for name, value in changes.items():
        (facts if name in facts else metadata)[name] = value
    metadata["srblocks_facts"] = json.dumps(facts)
    return write_records(path, records | {f"{STEM}_metadata.json": json.dumps(metadata).encode()})

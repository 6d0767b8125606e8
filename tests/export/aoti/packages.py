"""The records of AOTInductor packages, and packages with other ones."""

import json
import zipfile
from pathlib import Path

STEM = "archive/data/aotinductor/model/model.wrapper"


def records(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, record in content.items():
            archive.writestr(name, record)
    return path


def tampered(package: Path, path: Path, **changes: object) -> Path:
    """The package with other metadata; those of srblocks are changed inside."""
    content = records(package)
    metadata = json.loads(content[f"{STEM}_metadata.json"])
    facts = json.loads(metadata["srblocks_facts"])
    for name, value in changes.items():
        (facts if name in facts else metadata)[name] = value
    metadata["srblocks_facts"] = json.dumps(facts)
    return written(path, content | {f"{STEM}_metadata.json": json.dumps(metadata).encode()})

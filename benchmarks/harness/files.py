"""The files that measurements read and write."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from srblocks._utils.files import atomic_path

RESULTS = Path(__file__).parents[1] / "results"


def data(*folders: str) -> Path:
    """The folder that SRBLOCKS_DATA names; stop where it lacks one of the given folders."""
    value = os.environ.get("SRBLOCKS_DATA")
    if not value or not all(Path(value, folder).is_dir() for folder in folders):
        sys.exit(f"{Path(sys.argv[0]).name}: set SRBLOCKS_DATA to a folder that holds {' and '.join(folders)}")
    return Path(value)


def read(name: str) -> dict[str, Any]:
    """A committed result."""
    return json.loads((RESULTS / name).read_text())


def resolved(file: Path) -> Path:
    """The path of a result, its folder made; a relative name is one in benchmarks/results."""
    path = RESULTS / file
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write(result: dict[str, Any] | list[dict[str, Any]], file: Path) -> Path:
    """Write the result; a relative name is one in benchmarks/results."""
    path = resolved(file)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n")
    return path

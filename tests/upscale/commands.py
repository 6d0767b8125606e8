"""The upscaler's command, and what it leaves in a folder."""

import sys
from functools import partial
from pathlib import Path

from srblocks.upscale.command import main
from support import outcome

COMMAND = [sys.executable, "-m", "srblocks.upscale"]
called = partial(outcome, main)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

"""Run srblocks-upscale and read its outputs."""

from functools import partial
from pathlib import Path

from helpers.support import outcome
from srblocks.inference.cli import main

run_upscale = partial(outcome, main)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

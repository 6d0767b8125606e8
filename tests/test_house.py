"""The files of the repository: short enough to be read at once."""

from helpers.support import REPOSITORY

LINES = 300
FOLDERS = ("srblocks", "export", "benchmarks", "examples", "docs", "tests")
LONGER: dict[str, str] = {}
"""Files that are longer all the same -> why."""


def test_no_file_is_longer_than_one_reads_at_once() -> None:
    files = [REPOSITORY / "conftest.py", REPOSITORY / "hubconf.py"]
    files += [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")]
    lengths = {path.relative_to(REPOSITORY).as_posix(): len(path.read_text().splitlines()) for path in files}
    assert len(lengths) > 300
    long = {name: length for name, length in lengths.items() if length > LINES}
    assert {name: length for name, length in long.items() if name not in LONGER} == {}, "split it, or say in LONGER why"
    assert LONGER.keys() <= long.keys(), "shorter now: take it out of LONGER"

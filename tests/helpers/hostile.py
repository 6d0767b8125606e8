"""Corrupt and malicious files for tests: randomly mutated bytes and JSON values, rebuilt archives, payloads."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from srblocks_export import runtime
from srblocks_export.errors import ExportError

ODD = [
    None,
    True,
    -1,
    0,
    3,
    2**31,
    10**9,
    10**30,
    0.5,
    1e300,
    float("inf"),
    float("nan"),
    "",
    "x" * 3000,
    "\ud800\0",
    [],
    {},
]
ODD += [[0] * 500, [[[[[]]]]], {"a": {"b": [1]}}, "../../etc/passwd", "depth", [10**9] * 4, "1", -(10**30)]
"""Unexpected values."""

FAR = 2**31

LR = np.linspace(0, 1, 30, dtype=np.float32).reshape(1, 1, 5, 6)
"""Input image for the artifacts."""


class Payload:
    """Object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Return content with bytes changed, removed, inserted, moved or truncated; one third in the first 600."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        near = draw(st.integers(0, 2)) == 0
        start = draw(st.integers(0, FAR)) % max(1, min(len(changed), 600) if near else len(changed))
        length = draw(st.sampled_from([1, 1, 2, 4, 8, 64]))
        match draw(st.sampled_from(["byte", "number", "cut", "drop", "insert", "move", "zero"])):
            case "byte":
                changed[start : start + 1] = bytes([draw(st.integers(0, 255))])
            case "number":
                number = draw(st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1]))
                changed[start : start + 8] = number.to_bytes(8, draw(st.sampled_from(["little", "big"])))
            case "cut":
                del changed[start:]
            case "drop":
                del changed[start : start + length]
            case "insert":
                changed[start:start] = draw(st.binary(min_size=1, max_size=8))
            case "move":
                other = draw(st.integers(0, FAR)) % max(1, len(changed))
                changed[start : start + length] = changed[other : other + length]
            case _:
                changed[start : start + length] = bytes(length)
    return bytes(changed)


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """Return a JSON value with one to three entries at any depth removed, replaced or overwritten by other entries."""
    copy = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 3))):
        places = [(copy, key) for key in copy] if isinstance(copy, dict) else []
        for inner, key in places:  # grows during the iteration
            entry = inner[key]
            if isinstance(entry, dict):
                places += [(entry, each) for each in entry]
            elif isinstance(entry, list):
                places += [(entry, index) for index in range(len(entry))]
        if not places:
            break
        inner, key = places[draw(st.integers(0, FAR)) % len(places)]
        change = draw(st.sampled_from(["odd", "odd", "odd", "drop", "copy"]))
        if change == "drop" and isinstance(inner, dict):
            del inner[key]
        elif change == "copy":
            other, from_key = places[draw(st.integers(0, FAR)) % len(places)]
            inner[key] = json.loads(json.dumps(other[from_key]))
        else:
            inner[key] = json.loads(json.dumps(draw(st.sampled_from(ODD))))
    return copy


def records_of(path: Path) -> dict[str, bytes]:
    """Return the records of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive of records with valid checksums."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def assert_rejected(path: Path, *messages: str) -> None:
    """Assert that a file is rejected with a one-line error that contains the messages."""
    with pytest.raises(ExportError, match=rf"E901 .*{path.name}") as caught:
        runtime.load(path)(LR)
    assert "\n" not in str(caught.value)
    assert all(message in str(caught.value) for message in messages), caught.value

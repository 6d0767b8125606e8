"""Random command lines: every exit code is documented, and usage errors are one line."""

import io
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers.support import cases
from srblocks._utils.cli import flags
from srblocks.evaluate import cli as evaluate
from srblocks.inference import cli as upscale
from srblocks_export import cli as export
from srblocks_export.formats.tensorrt.trt_engine import __main__ as builder

WORDS = [
    "",
    " ",
    "-",
    "--",
    "0",
    "-1",
    "1",
    "2",
    "3",
    "4",
    "64",
    "1e400",
    "nan",
    "inf",
    "9" * 30,
    "9" * 5000,
    "x" * 300,
]
WORDS += ["\0", "\ud800", "\x1b[31m", "größe", "*", "[", "(?", "a=b", "depth=1", "depth=-1", "width=1e9", "depth=[[1]]"]
WORDS += ["fsrcnn", "vdsr", "edsr_baseline", "nonsense", "1x1x8x8", "1x3x0x8", "axbxcxd", "1x1x99999999999x8", "2GiB"]
WORDS += [
    "fp16",
    "bf16",
    "int8",
    "rgb",
    "cpu",
    "cuda",
    "cuda:99",
    "meta",
    "../../etc/passwd",
    "/dev/null",
    "/",
    ".",
    "bicubic",
]
HOSTILE_DEPTHS = ["depth=" + "9" * 30, "depth=100000000", "width=100000", "scale=3", "depth=1e400", "kernel_sizes=[9]"]


def lines(names: list[str]) -> st.SearchStrategy[list[str]]:
    word = st.sampled_from([*WORDS, *HOSTILE_DEPTHS]) | st.text(max_size=8)
    pair = st.tuples(st.sampled_from(names), word).map(list) | st.tuples(st.sampled_from(names)).map(list)
    return st.lists(pair | st.tuples(word).map(list), max_size=6).map(
        lambda parts: [word for part in parts for word in part]
    )


def outcome(main: Callable[[list[str]], int], words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    assert isinstance(sys.stderr, io.TextIOWrapper)
    sys.stderr.reconfigure(errors="backslashreplace")  # as outside of tests
    try:
        code = main(words)
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        code = stop.code
    return code, capsys.readouterr().err


def assert_documented(code: int, err: str, epilog: str, words: list[str]) -> None:
    assert code in [int(found) for found in re.findall(r"(?:codes:|,)\s(\d+)\s", epilog)], (code, words, err[-600:])
    assert code != 1, (words, err[-600:])
    assert "Traceback" not in err, words
    if code == 2:
        assert len(err.strip().splitlines()) == 1, (words, err)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with an image and broken files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    Image.new("RGB", (6, 5)).save("image.png")
    Path("broken.onnx").write_bytes(b"\x08\x08")
    Path("broken.pth").write_bytes(b"PK\x03\x04")
    return tmp_path


FILES = st.sampled_from(["image.png", "broken.onnx", "broken.pth", "missing", "."])


@cases(60)
@given(words=lines(flags(export.build_app())))
def test_srblocks_export(
    folder: Path, capsys: pytest.CaptureFixture[str], tally: Counter[str], words: list[str]
) -> None:
    tally["command lines"] += 1
    words = [word for word in words if word not in ("--list", "--check-env", "--all", "-v", "--verbose")]
    code, err = outcome(export.main, ["--dry-run", *words], capsys)
    assert_documented(code, err, export.EPILOG, words)


@cases(40)
@given(words=lines(flags(upscale.APP)), files=st.lists(FILES, max_size=2))
def test_srblocks_upscale(
    folder: Path, capsys: pytest.CaptureFixture[str], tally: Counter[str], words: list[str], files: list[str]
) -> None:
    tally["command lines"] += 1
    code, err = outcome(upscale.main, [*files, "-o", "out", *words], capsys)
    assert_documented(code, err, upscale.EPILOG, words)


@cases(40)
@given(words=lines(flags(evaluate.APP)), file=FILES)
def test_srblocks_evaluate(
    folder: Path, capsys: pytest.CaptureFixture[str], tally: Counter[str], words: list[str], file: str
) -> None:
    tally["command lines"] += 1
    code, err = outcome(evaluate.main, ["--data", file, "--scale", "2", *words], capsys)
    assert_documented(code, err, evaluate.EPILOG, words)


@cases(40)
@given(
    words=lines(["--min", "--opt", "--max", "--workspace", "--opt-level", "--timing-cache", "--check", "--force"]),
    file=FILES,
)
def test_engine_builder(
    folder: Path, capsys: pytest.CaptureFixture[str], tally: Counter[str], words: list[str], file: str
) -> None:
    tally["command lines"] += 1
    code, err = outcome(builder.main, [file, *words], capsys)
    err = err if code != 2 else err.strip().splitlines()[-1]
    assert_documented(code, err, builder.EPILOG, words)


def test_epilogs_list_exit_codes() -> None:
    for epilog in (export.EPILOG, upscale.EPILOG, evaluate.EPILOG, builder.EPILOG):
        found = [int(code) for code in re.findall(r"(?:codes:|,)\s(\d+)\s", epilog)]
        assert found[:3] == [0, 1, 2]
        assert len(found) == len(set(found))

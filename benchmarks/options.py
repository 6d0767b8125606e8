"""Command-line options that the benchmark scripts share."""

import argparse
from pathlib import Path


def positive(text: str) -> int:
    """Parse an integer >= 1.

    Raises:
        argparse.ArgumentTypeError: `text` is not such an integer.
    """
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, got {text!r}")
    return int(text)


def parser(description: str, *options: str) -> argparse.ArgumentParser:
    """Return a parser with ``--json`` and the named common options."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--json", type=Path, metavar="FILE", help="write the record to FILE in benchmarks/results")
    if "quick" in options:
        found.add_argument("--quick", action="store_true", help="a small subset that takes one to three minutes")
    if "cases" in options:
        found.add_argument("--cases", nargs="+", metavar="NAME", help="prefixes of case names: edsr_baseline-x4-64")
    if "timing" in options:
        found.add_argument("--threads", type=positive, default=1, help="CPU threads of every backend (1)")
        found.add_argument("--rounds", type=positive, help="minimum number of rounds (11; 50 on CUDA)")
    if "device" in options:
        found.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
        found.add_argument("--tf32", action="store_true", help="allow TF32 for float32 convolutions on CUDA")
    if "goals" in options:
        found.add_argument("--goals", action="store_true", help="exit with code 1 if a goal of the cases is missed")
    return found

"""Write the figures: ``python -m generator [NAME ...]`` in docs/, or ``make figures``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from .drawing import Sheet
from .figures import figures

FIGURES = Path(__file__).parents[1] / "figures"


def draw(name: str) -> str:
    """Return the SVG of one figure."""
    torch.manual_seed(0)
    sheet = Sheet(figures()[name]())
    return sheet.svg(sheet.title or name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the figures of the given classes, or all of them, and remove those of classes that no longer exist."""
    parser = argparse.ArgumentParser(prog="python -m generator", description="Draw blocks and networks as SVG.")
    parser.add_argument("names", nargs="*", help="classes to draw (default: all)")
    names = parser.parse_args(arguments).names
    FIGURES.mkdir(exist_ok=True)
    known = figures()
    for name in names or known:
        (FIGURES / f"{name}.svg").write_text(draw(name))
    for path in FIGURES.glob("*.svg"):
        if path.stem not in known:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""PSNR and SSIM of the bundled weights and of bicubic interpolation on Set5.

    SRBLOCKS_DATA=folder python benchmarks/set5.py [--json FILE]

The protocol is that of `srblocks-evaluate` for luma networks, on the CPU. As in published tables, bicubic images are
rounded to 8 bits.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from formatting import table
from options import parser
from record import Record, data_folder
from srblocks import load_pretrained
from srblocks.color import rgb_to_y
from srblocks.evaluate import Score, compare, evaluate, image_files, means, read_image
from srblocks.inference import from_network
from srblocks.resize import downscaled_pair, imresize

SCALES = (2, 3, 4)


def bicubic(folder: Path, scale: int) -> Score:
    """Score MATLAB's bicubic interpolation, rounded to 8 bits."""
    scores = []
    for path in image_files(folder):
        low, high = downscaled_pair(rgb_to_y(read_image(path)), scale)
        pair = [np.clip(np.round(luma * 255), 0, 255).astype(np.uint8) for luma in (imresize(low, scale), high)]
        scores.append(compare(*pair, border=scale))
    return means(scores)


def bundled(folder: Path, name: str, scale: int) -> Score:
    """Score bundled weights."""
    return means(list(evaluate(from_network(load_pretrained(name, scale=scale), name), image_files(folder))))


def markdown(record: Record) -> str:
    """Return the scores as a table, PSNR in decibels / SSIM."""
    rows: dict[str, list[str]] = {}
    for row in record.rows:
        rows.setdefault(row["method"], []).append(f"{row['psnr']:.2f} / {row['ssim']:.4f}")
    return table(["Set5, luma", *(f"x{scale}" for scale in SCALES)], ([name, *cells] for name, cells in rows.items()))


def measure(folder: Path) -> Record:
    """Score bicubic interpolation and the bundled FSRCNN at every scale."""
    record = Record.start("set5")
    for scale in SCALES:
        record.rows.append({"method": "bicubic", "scale": scale, **asdict(bicubic(folder, scale))})
    for scale in SCALES:
        record.rows.append({"method": "FSRCNN (bundled)", "scale": scale, **asdict(bundled(folder, "fsrcnn", scale))})
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parser("Evaluate the bundled weights on Set5.").parse_args(arguments)
    record = measure(data_folder("images/Set5") / "images" / "Set5")
    print(markdown(record))
    if args.json:
        print(f"written to {record.write(args.json)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

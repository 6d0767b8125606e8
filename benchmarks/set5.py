"""PSNR and SSIM of the bundled weights and of bicubic interpolation on Set5, as a Markdown table.

    SRBLOCKS_DATA=folder python benchmarks/set5.py [--json FILE]

Protocol: that of `srblocks-evaluate` for networks on luma, on CPU; as in published tables, the pictures of
bicubic interpolation are rounded to 8 bits.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

from harness.files import data, write
from srblocks import load_pretrained
from srblocks.color import rgb_to_y
from srblocks.evaluate import Score, compare, evaluate, image_files, means, read_image
from srblocks.inference import from_network
from srblocks.resize import imresize, reduced_pair


def bicubic(folder: Path, scale: int) -> Score:
    """Score MATLAB's bicubic, whose pictures are rounded to 8 bits."""
    scores = []
    for path in image_files(folder):
        low, high = reduced_pair(rgb_to_y(read_image(path)), scale)
        pictures = [np.clip(np.round(luma * 255), 0, 255).astype(np.uint8) for luma in (imresize(low, scale), high)]
        scores.append(compare(*pictures, border=scale))
    return means(scores)


def bundled(folder: Path, name: str, scale: int) -> Score:
    """Score bundled weights."""
    return means(list(evaluate(from_network(load_pretrained(name, scale=scale), name), image_files(folder))))


def measure(folder: Path) -> dict[str, dict[int, Score]]:
    """Score each method at each scale."""
    scales = (2, 3, 4)
    return {
        "bicubic": {scale: bicubic(folder, scale) for scale in scales},
        "FSRCNN (bundled)": {scale: bundled(folder, "fsrcnn", scale) for scale in scales},
    }


def markdown(figures: dict[str, dict[int, Score]]) -> str:
    """The figures as a table, PSNR in decibels / SSIM."""
    lines = ["| Set5, luma | x2 | x3 | x4 |", "|---|---|---|---|"]
    for name, row in figures.items():
        cells = " | ".join(f"{score.psnr:.2f} / {score.ssim:.4f}" for score in row.values())
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Evaluate the bundled weights on Set5.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE, in benchmarks/results")
    args = parser.parse_args()
    figures = measure(data("images/Set5") / "images" / "Set5")
    print(markdown(figures))
    if args.json:
        plain = {name: {scale: asdict(score) for scale, score in row.items()} for name, row in figures.items()}
        print(f"written to {write(plain, args.json).name}")


if __name__ == "__main__":
    main()

"""PSNR and SSIM of the bundled weights and of bicubic interpolation on Set5, as a Markdown table.

    SRBLOCKS_DATA=folder python benchmarks/set5.py [--json FILE]

Protocol: a method enlarges the luma (studio range, not rounded) of the uint8 original, reduced by MATLAB's imresize in
float64; compared with the luma of the original, `scale` border pixels left out; means over the five images. As in
published tables, the pictures of bicubic interpolation alone are rounded to 8 bits. CPU, float32, eager.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from srblocks import load_pretrained
from srblocks.protocol import imresize, psnr, reduced_pair, rgb_to_y, ssim

Upscale = Callable[[np.ndarray], np.ndarray]


def evaluate(upscale: Upscale, folder: Path, scale: int, *, rounded: bool = False) -> tuple[float, float]:
    """Mean PSNR in decibels and mean SSIM of `upscale`, which goes from luma to luma in [0, 1]."""
    figures = []
    for path in sorted(folder.glob("*.bmp")):
        low, high = reduced_pair(rgb_to_y(np.asarray(Image.open(path).convert("RGB"))), scale)
        pictures = [upscale(low), high]
        if rounded:
            pictures = [np.clip(np.round(picture * 255), 0, 255).astype(np.uint8) for picture in pictures]
        figures.append((psnr(*pictures, crop_border=scale), ssim(*pictures, crop_border=scale)))
    means = np.mean(figures, axis=0)
    return float(means[0]), float(means[1])


def bicubic(scale: int) -> Upscale:
    """MATLAB's bicubic."""
    return lambda low: imresize(low, scale)


def bundled(name: str, scale: int) -> Upscale:
    """A bundled luma network, clipped to [0, 1]."""
    net = load_pretrained(name, scale=scale)

    def upscale(low: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.tensor(low[None, None], dtype=torch.float32))[0, 0].clamp(0, 1).double().numpy()

    return upscale


def measure(folder: Path) -> dict[str, dict[int, tuple[float, float]]]:
    """PSNR and SSIM per method and scale."""
    scales = (2, 3, 4)
    return {
        "bicubic": {scale: evaluate(bicubic(scale), folder, scale, rounded=True) for scale in scales},
        "FSRCNN (bundled)": {scale: evaluate(bundled("fsrcnn", scale), folder, scale) for scale in scales},
    }


def markdown(figures: dict[str, dict[int, tuple[float, float]]]) -> str:
    """The figures as a table, PSNR in decibels / SSIM."""
    lines = ["| Set5, luma | x2 | x3 | x4 |", "|---|---|---|---|"]
    for name, row in figures.items():
        cells = " | ".join(f"{decibels:.2f} / {similarity:.4f}" for decibels, similarity in row.values())
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Evaluate the bundled weights on Set5.")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    args = parser.parse_args()
    data = os.environ.get("SRBLOCKS_DATA")
    if not data or not Path(data, "images", "Set5").is_dir():
        sys.exit("set5.py: set SRBLOCKS_DATA to a folder that holds images/Set5")
    figures = measure(Path(data, "images", "Set5"))
    print(markdown(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""PSNR and SSIM of the bundled weights and of bicubic interpolation on Set5, as a Markdown table.

    SRBLOCKS_DATA=folder python benchmarks/set5.py [--json FILE]

Protocol: the low-resolution image is MATLAB's imresize of the uint8 original; both are compared on unrounded luma
(studio range) in [0, 1], `scale` border pixels left out; means over the five images. CPU, float32, eager.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from srblocks import load_pretrained
from srblocks.protocol import imresize, psnr, rgb_to_y, ssim

Upscale = Callable[[np.ndarray], np.ndarray]


def pairs(folder: Path, scale: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Low and high resolution of each image, uint8 RGB."""
    for path in sorted(folder.glob("*.bmp")):
        image = np.asarray(Image.open(path).convert("RGB"))
        height, width = (side // scale * scale for side in image.shape[:2])
        yield imresize(image[:height, :width], 1 / scale), image[:height, :width]


def evaluate(upscale: Upscale, folder: Path, scale: int) -> tuple[float, float]:
    """Mean PSNR in decibels and mean SSIM of `upscale`, which goes from RGB to luma."""
    figures = []
    for low, high in pairs(folder, scale):
        luma, reference = upscale(low), rgb_to_y(high)
        figures.append((psnr(luma, reference, crop_border=scale), ssim(luma, reference, crop_border=scale)))
    means = np.mean(figures, axis=0)
    return float(means[0]), float(means[1])


def bicubic(scale: int) -> Upscale:
    """MATLAB's bicubic on the uint8 image."""
    return lambda low: rgb_to_y(imresize(low, scale))


def bundled(name: str, scale: int) -> Upscale:
    """A bundled luma network, clipped to [0, 1]."""
    net = load_pretrained(name, scale=scale)

    def upscale(low: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.tensor(rgb_to_y(low)[None, None], dtype=torch.float32))[0, 0].clamp(0, 1).double().numpy()

    return upscale


def measure(folder: Path) -> dict[str, dict[int, tuple[float, float]]]:
    """PSNR and SSIM per method and scale."""
    methods = {"bicubic": bicubic, "FSRCNN (bundled)": lambda scale: bundled("fsrcnn", scale)}
    return {
        name: {scale: evaluate(method(scale), folder, scale) for scale in (2, 3, 4)} for name, method in methods.items()
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

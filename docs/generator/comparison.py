"""Write docs/comparison.png: bicubic interpolation, the bundled FSRCNN and CARN-M at x4.

    SRBLOCKS_DATA=FOLDER python docs/generator/comparison.py

The image is NASA's portrait of Eileen Collins (public domain), from scikit-image. CARN-M has the weights of its
authors, in the folder that SRBLOCKS_DATA names.
"""

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from srblocks import Network, load_checkpoint, load_pretrained, on_rgb
from srblocks.color import rgb_to_y
from srblocks.metrics import psnr
from srblocks.resize import imresize

PATH = Path(__file__).parents[1] / "comparison.png"
SCALE = 4
CROPS = {"#e5484d": (4, 14), "#2f7ff0": (188, 318)}
"""Color of the frame -> left and top of each crop."""
SIDE, ZOOM, GAP, CAPTION, MARGIN = 92, 2, 10, 42, 12


def run(net: Network, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Upscale a uint8 RGB image."""
    with torch.no_grad():
        sr = on_rgb(net).eval()(torch.from_numpy(lr).permute(2, 0, 1)[None] / 255)
    return (sr[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def results(weights: Path) -> dict[str, NDArray[np.uint8]]:
    """Return the upscaled images, and the original last, by their captions."""
    original = np.ascontiguousarray(data.astronaut())
    lr = imresize(original, 1 / SCALE)
    images = {
        "bicubic": imresize(lr, SCALE),
        "FSRCNN, bundled": run(load_pretrained("fsrcnn", scale=SCALE), lr),
        "CARN-M": run(load_checkpoint(weights, scale=SCALE), lr),
    }
    luma = rgb_to_y(original)
    captions = {
        f"{name}\n{psnr(rgb_to_y(image), luma, crop_border=SCALE):.2f} dB": image for name, image in images.items()
    }
    return {**captions, "original": original}


def comparison(weights: Path) -> Image.Image:
    """Return the original with the crops marked, and the crops of all results, with the PSNR of the full image."""
    images = results(weights)
    original = list(images.values())[-1]
    side = SIDE * ZOOM
    full = 2 * side + GAP
    width = 2 * MARGIN + full + len(images) * (side + GAP)
    sheet = Image.new("RGB", (width, 2 * MARGIN + full + CAPTION), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    marked = Image.fromarray(original).resize((full, full), Image.Resampling.LANCZOS)
    ratio = full / len(original)
    for color, (left, top) in CROPS.items():
        box = [ratio * value for value in (left, top, left + SIDE, top + SIDE)]
        ImageDraw.Draw(marked).rectangle(box, outline=color, width=3)
    sheet.paste(marked, (MARGIN, MARGIN))
    caption = f"{len(original) // SCALE}x{len(original) // SCALE} pixels, upscaled x{SCALE}"
    draw.text((MARGIN, MARGIN + full + 6), caption, fill="black", font=font)
    for column, (name, image) in enumerate(images.items()):
        x = MARGIN + full + GAP + column * (side + GAP)
        for row, (color, (left, top)) in enumerate(CROPS.items()):
            detail = Image.fromarray(image[top : top + SIDE, left : left + SIDE])
            y = MARGIN + row * (side + GAP)
            sheet.paste(detail.resize((side, side), Image.Resampling.NEAREST), (x, y))
            draw.rectangle((x, y, x + side - 1, y + side - 1), outline=color, width=2)
        draw.text((x, MARGIN + full + 6), name, fill="black", font=font, spacing=3)
    return sheet


if __name__ == "__main__":
    comparison(Path(os.environ["SRBLOCKS_DATA"]) / "weights" / "carn_m.pth").save(PATH, optimize=True)

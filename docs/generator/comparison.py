"""What a network adds to bicubic interpolation, on a photograph in the public domain.

It is NASA's portrait of Eileen Collins, from scikit-image.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from srblocks import OnLuma, load_pretrained
from srblocks.color import rgb_to_y
from srblocks.metrics import psnr
from srblocks.resize import imresize

SCALE = 3
TOP, LEFT, SIDE, ZOOM, GAP, TITLE = 75, 168, 120, 2, 8, 26


def enlarged() -> dict[str, NDArray[np.uint8]]:
    """Reduce the photograph and enlarge it again, by interpolation and by the bundled FSRCNN."""
    original = data.astronaut()[: 512 // SCALE * SCALE, : 512 // SCALE * SCALE]
    small = imresize(original, 1 / SCALE)
    net = OnLuma(load_pretrained("fsrcnn", scale=SCALE)).eval()
    with torch.no_grad():
        sr = net(torch.from_numpy(small).permute(2, 0, 1)[None] / 255)
    network = (sr[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return {"bicubic": imresize(small, SCALE), "FSRCNN, bundled": network, "original": original}


def comparison() -> Image.Image:
    """Show a detail of each side by side, pixels doubled for the eye, with the PSNR of the whole on luma."""
    pictures = enlarged()
    luma = {name: rgb_to_y(picture) for name, picture in pictures.items()}
    side = SIDE * ZOOM
    sheet = Image.new("RGB", (3 * side + 2 * GAP, side + TITLE), "white")
    for number, (name, picture) in enumerate(pictures.items()):
        detail = Image.fromarray(picture[TOP : TOP + SIDE, LEFT : LEFT + SIDE])
        place = number * (side + GAP)
        sheet.paste(detail.resize((side, side), Image.Resampling.NEAREST), (place, TITLE))
        figure = "" if name == "original" else f", {psnr(luma[name], luma['original'], crop_border=SCALE):.2f} dB"
        title = ImageFont.load_default(size=14)
        ImageDraw.Draw(sheet).text((place + 2, 4), f"{name}{figure}", fill="black", font=title)
    return sheet

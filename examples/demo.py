"""Export a network to every format and upscale a photograph with each file.

    make demo

Exports the bundled FSRCNN x2 for RGB images to every format that this machine can build, verifies each file in a fresh
process, and upscales a photograph with it. The TensorRT engine is built without a GPU, and runs on one. The photograph
is NASA's portrait of Eileen Collins (public domain), downscaled by MATLAB's bicubic, so that the original is there for
comparison. Writes the exported files, manifest.json and before-after.png to demo-output/.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from srblocks import OnLuma, load_pretrained
from srblocks.color import rgb_to_y
from srblocks.metrics import psnr
from srblocks.resize import imresize
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS
from srblocks_export.report import exit_code

PHOTOGRAPH = Path(__file__).with_name("astronaut.jpg")  # NASA, public domain
SCALE = 2
ROUNDS = 7
OUT = Path("demo-output")


def upscale(artifact: runtime.Artifact, image: np.ndarray) -> np.ndarray:
    """Upscale a uint8 RGB image."""
    batch = image.transpose(2, 0, 1)[None].astype(np.float32) / 255
    rgb = artifact(batch)[0].transpose(1, 2, 0)
    return np.clip(np.round(rgb * 255), 0, 255).astype(np.uint8)


def luma_psnr(image: np.ndarray, original: np.ndarray) -> float:
    """Return the PSNR on luma without `SCALE` border pixels, in dB."""
    return psnr(rgb_to_y(image), rgb_to_y(original), crop_border=SCALE)


def milliseconds(artifact: runtime.Artifact, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the minimum and median time of one run after a warm-up."""
    lr = np.random.default_rng(0).random(shape, np.float32)
    artifact(lr)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        artifact(lr)
        times.append(1000 * (time.perf_counter() - start))
    return min(times), statistics.median(times)


def before_after(bicubic: np.ndarray, network: np.ndarray, original: np.ndarray) -> Image.Image:
    """Return the same crop of the three images side by side, magnified."""
    top, left, side, zoom = 60, 170, 110, 3
    sheet = Image.new("RGB", (3 * side * zoom + 20, side * zoom + 24), "white")
    for number, (title, image) in enumerate({"bicubic": bicubic, "FSRCNN": network, "original": original}.items()):
        crop = Image.fromarray(image[top : top + side, left : left + side])
        x = number * (side * zoom + 10)
        sheet.paste(crop.resize((side * zoom, side * zoom), Image.Resampling.NEAREST), (x, 24))
        ImageDraw.Draw(sheet).text((x + 8, 6), title, fill="black")
    return sheet


def main() -> int:
    """Run the demo; return its exit code."""
    console = Console()
    if not console.is_terminal:
        console.width = 120
    original = np.asarray(Image.open(PHOTOGRAPH))
    lr = imresize(original, 1 / SCALE)
    bicubic = imresize(lr, SCALE)

    unavailable = {name: missing for name, row in FORMATS.items() if (missing := row.missing())}
    available = tuple(name for name in FORMATS if name not in unavailable)
    for name, missing in unavailable.items():
        console.print(f"{name} cannot be built here: {missing.what}; {missing.remedy}", markup=False)
    with console.status("exporting and verifying") as status:
        config = ExportConfig(formats=available, out=OUT, force=True)
        net = OnLuma(load_pretrained("fsrcnn", scale=SCALE))
        reports = export_network(net, config, progress=status.update)

    height, width = lr.shape[:2]
    baseline = luma_psnr(bicubic, original)
    console.print(f"FSRCNN x{SCALE} on a photograph of {width}x{height}, bicubic: {baseline:.2f} dB")
    table = Table(box=None, pad_edge=False)
    for column in ("artifact", "size", "verified at", "max error", "PSNR", "gain", "ms min / median"):
        table.add_column(column)
    upscaled = bicubic
    for report in reports:
        if report.error or not report.manifest or not report.verification or not report.path:
            console.print(f"{report.format}: {report.error}", style="red", markup=False)
            continue
        size = f"{report.manifest.artifact.bytes / 1000:.0f} kB"
        if not report.verification.executed:
            table.add_row(report.path.name, size, report.verification.status, "-", "-", "-", "-")
            continue
        artifact = runtime.load(report.path)
        upscaled = upscale(artifact, lr)
        result = luma_psnr(upscaled, original)
        least, median = milliseconds(artifact, (1, 3, height, width))
        sizes = ", ".join("x".join(map(str, case.shape)) for case in report.verification.cases)
        table.add_row(
            report.path.name,
            size,
            sizes,
            f"{report.verification.max_error:.1e}",
            f"{result:.2f} dB",
            f"+{result - baseline:.2f}",
            f"{least:.0f} / {median:.0f}",
        )
    console.print(table)
    before_after(bicubic, upscaled, original).save(OUT / "before-after.png")
    console.print(f"max error is relative to the output's standard deviation; images in {OUT / 'before-after.png'}")
    return exit_code(reports)


if __name__ == "__main__":
    sys.exit(main())

"""Effect of half precision on every network: accuracy and use of fp16's range.

    SRBLOCKS_DATA=folder python benchmarks/fp16.py [--json fp16.json]

The optimized network in fp16 and bf16 is compared with the original in float32: with bundled and published weights on
Set5 images, downscaled as in `srblocks-evaluate`. Networks without available weights are shallow and have random
weights (He initialization, no biases), which shows the effect of their structure only. Images are cropped to the
central 64x64 low-resolution pixels because fp16 is slow on CPUs.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import published
from cases import title
from formatting import table
from options import parser
from parity import psnr
from record import Record, data_folder
from srblocks import load_checkpoint, load_pretrained, on_rgb, optimize, to_precision
from srblocks.color import rgb_to_y
from srblocks.evaluate import image_files, read_image
from srblocks.init import he_
from srblocks.network import Network
from srblocks.networks import network_name, network_specs
from srblocks.precision import Calibration, calibrate
from srblocks.registry import NetworkSpec
from srblocks.resize import downscaled_pair

SIDE = 64
HALVES = ("fp16", "bf16")
LIMIT = torch.finfo(torch.float16).max
PUBLISHED = (
    *(row for row in published.ROWS if row.images == "Set5" and not str(row.files).count("modern/")),
    published.Row("ESPCN, Nhat-Thanh", {scale: f"espcn_NhatThanh_x{scale}.pt" for scale in (2, 3, 4)}, {}),
    published.Row("SRCNN, Nhat-Thanh", dict.fromkeys((2, 3, 4), "srcnn_NhatThanh_955.pt"), {}),
)
SECONDS: Counter[str] = Counter()
"""CPU seconds spent in each precision so far."""


def low_images(net: Network, data: Path) -> list[Tensor]:
    """Return the center crops of the downscaled Set5 images, (1, C, H, W) in [0, 1]."""
    found = []
    for path in image_files(data / "images" / "Set5"):
        rgb = read_image(path)
        pixels = rgb_to_y(rgb)[..., None] if net.color == "y" else rgb
        low = torch.from_numpy(downscaled_pair(pixels, net.scale)[0]).permute(2, 0, 1)[None]
        low = low / 255 if net.color != "y" else low
        crops = []
        for side in low.shape[2:]:
            size = min(side, SIDE) // net.size_multiple * net.size_multiple
            crops.append(slice((side - size) // 2, (side - size) // 2 + size))
        found.append(low[:, :, crops[0], crops[1]].float().contiguous())
    return found


def run(net: Network, images: Sequence[Tensor], precision: str) -> list[Tensor]:
    """Return the outputs and count the CPU time."""
    with torch.inference_mode():
        start = time.process_time()
        outputs = [net(lr) for lr in images]
        SECONDS[precision] += time.process_time() - start
    return outputs


def fidelity(outputs: Sequence[Tensor], references: Sequence[Tensor], peak: float | None) -> dict[str, float | None]:
    """Return PSNR in decibels and largest relative error of the worst image; None for infinite values."""
    if not all(output.isfinite().all() for output in outputs):
        return {"psnr_db": None, "max_error": None}
    decibels, errors = [], []
    for output, reference in zip(outputs, references, strict=True):
        span = float(reference.max() - reference.min()) if peak is None else peak
        decibels.append(psnr(output, reference, peak=span))
        errors.append(float((output - reference).abs().max()) / span)
    return {"psnr_db": round(min(decibels), 2), "max_error": digits(max(errors), 3)}


def digits(value: float, number: int = 4) -> float:
    """Round to a number of significant digits."""
    return float(f"{value:.{number}g}")


def largest(found: Calibration, fp32_modules: Collection[str]) -> tuple[str, float]:
    """Return the module with the largest magnitude in fp16, and the magnitude."""
    counted = found.overflowing("fp16", fp32_modules, fraction=0.0)
    return max(counted.items(), key=lambda item: item[1])


def export_outcome(found: Calibration, fp32_modules: Collection[str]) -> str:
    """Return the outcome of an export in fp16: "error", "warning" or ""."""
    try:
        return "warning" if found.check("fp16", fp32_modules) else ""
    except OverflowError:
        return "error"


def rows_of(net: Network, title: str, name: str, data: Path, *, peak: float | None = None) -> Iterator[dict[str, Any]]:
    """Measure one network; if it overflows, also with the float32 modules that calibration suggests.

    Args:
        net: the original network in float32.
        title: name in tables.
        name: registry name.
        data: folder of images and weights.
        peak: peak of the PSNR; None for the range of the float32 output.
    """
    value_range = net.config.get("value_range", 1.0)
    net = (net if net.color == "y" else on_rgb(net)).eval()
    images, optimized = low_images(net, data), optimize(net)
    references = run(net, images, "fp32")
    torch.manual_seed(0)
    found, noise = calibrate(optimized, images), calibrate(optimized, [torch.rand(1, net.image_channels, SIDE, SIDE)])
    for fp32_modules in dict.fromkeys([(), tuple(found.float32_modules("fp16"))]):
        module, magnitude = largest(found, fp32_modules)
        row = {"title": title, "network": name, "scale": net.scale, "value_range": digits(value_range)}
        row |= {"fp32_modules": fp32_modules, "module": module, "largest": digits(magnitude)}
        row |= {
            "largest_of_noise": digits(largest(noise, fp32_modules)[1]),
            "export": export_outcome(found, fp32_modules),
        }
        for precision in HALVES:
            half = to_precision(optimized, precision, fp32_modules=fp32_modules)
            row[precision] = fidelity(run(half, images, precision), references, peak)
        yield row


def trained_rows(data: Path) -> Iterator[dict[str, Any]]:
    """Measure every network with available weights."""
    for scale in (2, 3, 4):
        yield from rows_of(load_pretrained("fsrcnn", scale=scale), "FSRCNN (bundled)", "fsrcnn", data, peak=1.0)
    for row in PUBLISHED:
        for scale, file in row.files.items():
            net = load_checkpoint(data / "weights" / file, scale=scale)
            yield from rows_of(net, row.title.partition(" (")[0], network_name(net), data, peak=1.0)


def random_rows(spec: NetworkSpec, data: Path) -> Iterator[dict[str, Any]]:
    """Measure a network with random weights, in its authors' value range and in [0, 1]."""
    for value_range in dict.fromkeys((spec.value_range, 1.0)):
        arguments = {"value_range": value_range} if "value_range" in spec.arguments() else {}
        torch.manual_seed(0)
        net = spec.create(**spec.reduced, **arguments)
        he_(net, mode="fan_in", transposed=True)
        yield from rows_of(net, title(spec.name, spec.reduced), spec.name, data)


def cells(row: dict[str, Any]) -> list[str]:
    """Return the table cells of a row."""
    used, half, error = row["largest"] / LIMIT, row["fp16"]["psnr_db"], row["fp16"]["max_error"]
    return [
        row["title"],
        f"x{row['scale']}",
        f"{row['value_range']:g}",
        f"{digits(row['largest'], 3):g}",
        f"`{row['module']}`" if row["module"] else "the network itself",
        f"{100 * used:.2g} %" if used <= 1 else f"{digits(used, 2):,.0f}x",
        f"{digits(row['largest_of_noise'], 3):g}",
        *(["infinite values", ""] if half is None else [f"{half:.1f}", f"{error:.1e}"]),
        f"{row['bf16']['psnr_db']:.1f}",
        ", ".join(f"`{path}`" for path in row["fp32_modules"]),
        row["export"],
    ]


def markdown(record: Record, weights: str) -> str:
    """Return the rows with "trained" or "random" weights as a table."""
    head = ["network", "scale", "value range", "largest", "in", "of 65504", "on noise", "fp16 dB", "fp16 error"]
    head += ["bf16 dB", "in float32", "export"]
    return table(head, (cells(row) for row in record.rows if row["weights"] == weights))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parser("Measure the effect of half precision on every network.").parse_args(arguments)
    data = data_folder("images/Set5", "weights")
    record = Record.start("fp16", side=SIDE)
    for row in trained_rows(data):
        print(" | ".join(cells(row)), flush=True)
        record.rows.append({"weights": "trained", **row})
    record.parameters["seconds"] = {precision: round(SECONDS[precision], 2) for precision in ("fp32", *HALVES)}
    trained = {row["network"] for row in record.rows}
    for spec in network_specs():
        for row in random_rows(spec, data) if spec.name not in trained else ():
            print(" | ".join(cells(row)), flush=True)
            record.rows.append({"weights": "random", **row})
    print(f"\n{markdown(record, 'trained')}\n\n{markdown(record, 'random')}")
    if args.json:
        print(f"written to {record.write(args.json)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

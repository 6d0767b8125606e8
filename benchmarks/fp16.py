"""What half precision costs each network, and how much of fp16's range the values inside it fill.

    SRBLOCKS_DATA=folder python benchmarks/fp16.py [--json FILE]

Measured is what would be deployed: the optimized network in fp16 and in bf16 against the plain one in float32, with the
weights at hand (bundled and published) on images of Set5, reduced by the protocol of `srblocks-evaluate`.
Networks without weights at hand get drawn ones (He's normal distribution, no biases) and are shallow, as in the tests:
that shows what their structure does to values, not what training does. CPUs compute fp16 slowly, so an image is the
middle of a picture, `SIDE` low-resolution pixels per side at most.

Columns: the largest magnitude that weights and results have, by `srblocks.calibrate`, and where; its part of fp16's
range; the largest magnitude on one image of uniform noise; PSNR in decibels and the largest error, of the worst image,
whose peak is 1, or for drawn weights the range of the float32 output; what is kept in float32; and what
`srblocks-export --precision fp16` does with these images.
"""

import argparse
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import published
from harness import environment, files
from harness.comparison import titled
from harness.parity import psnr
from srblocks import load_checkpoint, load_pretrained, on_rgb, optimize, to_precision
from srblocks.color import rgb_to_y
from srblocks.evaluate import image_files, read_image
from srblocks.init import he_
from srblocks.network import Network
from srblocks.networks import network_name, network_specs
from srblocks.precision import Calibration, calibrate
from srblocks.registry import NetworkSpec
from srblocks.resize import reduced_pair

SCHEMA = "srblocks.fp16/1"
SIDE = 64
HALVES = ("fp16", "bf16")
LIMIT = torch.finfo(torch.float16).max
PUBLISHED = (
    *(row for row in published.ROWS if row.images == "Set5"),
    published.Row("ESPCN, Nhat-Thanh", {scale: f"espcn_NhatThanh_x{scale}.pt" for scale in (2, 3, 4)}, {}),
    published.Row("SRCNN, Nhat-Thanh", dict.fromkeys((2, 3, 4), "srcnn_NhatThanh_955.pt"), {}),
)
SECONDS: Counter[str] = Counter()
"""What the runs in each precision took so far, of the processor's time."""


def low_images(net: Network, data: Path) -> list[Tensor]:
    """The middles of the reduced pictures of Set5 as the network takes them, (1, C, H, W) in [0, 1]."""
    found = []
    for path in image_files(data / "images" / "Set5"):
        rgb = read_image(path)
        pixels = rgb_to_y(rgb)[..., None] if net.color == "y" else rgb
        low = torch.from_numpy(reduced_pair(pixels, net.scale)[0]).permute(2, 0, 1)[None]
        low = low / 255 if net.color != "y" else low
        cuts = []
        for side in low.shape[2:]:
            taken = min(side, SIDE) // net.size_multiple * net.size_multiple
            cuts.append(slice((side - taken) // 2, (side - taken) // 2 + taken))
        found.append(low[:, :, cuts[0], cuts[1]].float().contiguous())
    return found


def run(net: Network, images: Sequence[Tensor], precision: str) -> list[Tensor]:
    """The outputs; their time is counted."""
    with torch.inference_mode():
        start = time.process_time()
        outputs = [net(lr) for lr in images]
        SECONDS[precision] += time.process_time() - start
    return outputs


def fidelity(outputs: Sequence[Tensor], references: Sequence[Tensor], peak: float | None) -> dict[str, float | None]:
    """PSNR in decibels and the largest error relative to the peak, of the worst image; None for infinite values."""
    if not all(output.isfinite().all() for output in outputs):
        return {"psnr_db": None, "max_error": None}
    decibels, errors = [], []
    for output, reference in zip(outputs, references, strict=True):
        most = float(reference.max() - reference.min()) if peak is None else peak
        decibels.append(psnr(output, reference, peak=most))
        errors.append(float((output - reference).abs().max()) / most)
    return {"psnr_db": round(min(decibels), 2), "max_error": digits(max(errors), 3)}


def digits(value: float, number: int = 4) -> float:
    """The value, rounded to so many digits."""
    return float(f"{value:.{number}g}")


def largest(found: Calibration, islands: Collection[str]) -> tuple[str, float]:
    """The module with the largest magnitude in fp16, and that; "" is the network itself."""
    counted = found.overflowing("fp16", islands, part=0.0)
    return max(counted.items(), key=lambda item: item[1])


def verdict(found: Calibration, islands: Collection[str]) -> str:
    """What an export to fp16 does: refuse it, warn, or neither."""
    try:
        return "warns" if found.check("fp16", islands) else ""
    except OverflowError:
        return "refuses"


def rows_of(net: Network, title: str, name: str, data: Path, *, peak: float | None = None) -> Iterator[dict[str, Any]]:
    """Measure one network, and where it overflows also with the modules in float32 that calibration asks for.

    Args:
        net: the plain network, in float32.
        title: what the table calls it.
        name: in the registry.
        data: folder of images and weights.
        peak: what decibels are of; None for the range of the float32 output.
    """
    value_range = net.config.get("value_range", 1.0)
    net = (net if net.color == "y" else on_rgb(net)).eval()
    images, quick = low_images(net, data), optimize(net)
    references = run(net, images, "fp32")
    torch.manual_seed(0)
    found, noise = calibrate(quick, images), calibrate(quick, [torch.rand(1, net.image_channels, SIDE, SIDE)])
    for islands in dict.fromkeys([(), tuple(found.islands("fp16"))]):
        module, most = largest(found, islands)
        row = {"title": title, "network": name, "scale": net.scale, "value_range": digits(value_range)}
        row |= {"fp32_modules": islands, "module": module, "largest": digits(most)}
        row |= {"largest_of_noise": digits(largest(noise, islands)[1]), "export": verdict(found, islands)}
        for precision in HALVES:
            half = to_precision(quick, precision, fp32_modules=islands)
            row[precision] = fidelity(run(half, images, precision), references, peak)
        yield row


def with_weights(data: Path) -> Iterator[dict[str, Any]]:
    """Measure every network with weights at hand, on images in [0, 1]."""
    for scale in (2, 3, 4):
        yield from rows_of(load_pretrained("fsrcnn", scale=scale), "FSRCNN (bundled)", "fsrcnn", data, peak=1.0)
    for row in PUBLISHED:
        for scale, file in row.files.items():
            net = load_checkpoint(data / "weights" / file, scale=scale)
            yield from rows_of(net, row.title.partition(" (")[0], network_name(net), data, peak=1.0)


def with_drawn_weights(spec: NetworkSpec, data: Path) -> Iterator[dict[str, Any]]:
    """Measure a network with drawn weights, in its authors' value range and in that of the images."""
    for value_range in dict.fromkeys((spec.value_range, 1.0)):
        given = {"value_range": value_range} if "value_range" in spec.arguments() else {}
        torch.manual_seed(0)
        net = spec.create(**spec.reduced, **given)
        he_(net, mode="fan_in", transposed=True)
        yield from rows_of(net, titled(spec.name, spec.reduced), spec.name, data)


def measure(data: Path) -> dict[str, Any]:
    """Measure everything, print it on the way, and give it as plain data."""
    rows: dict[str, list[dict[str, Any]]] = {"weights": [], "drawn": []}
    for row in with_weights(data):
        print(line(row), flush=True)
        rows["weights"].append(row)
    seconds = {precision: round(SECONDS[precision], 2) for precision in ("fp32", *HALVES)}
    served = {row["network"] for row in rows["weights"]}
    for spec in network_specs():
        for row in with_drawn_weights(spec, data) if spec.name not in served else ():
            print(line(row), flush=True)
            rows["drawn"].append(row)
    about = {"cpu": environment.cpu(), "versions": environment.versions()}
    return {"schema": SCHEMA, "environment": about, "side": SIDE, "seconds": seconds, **rows}


def line(row: dict[str, Any]) -> str:
    """One row of a table."""
    cells = [row["title"], f"x{row['scale']}", f"{row['value_range']:g}", f"{digits(row['largest'], 3):g}"]
    part = row["largest"] / LIMIT
    cells.append(f"`{row['module']}`" if row["module"] else "the network itself")
    cells.append(f"{100 * part:.2g} %" if part <= 1 else f"{digits(part, 2):,.0f} times")
    cells.append(f"{digits(row['largest_of_noise'], 3):g}")
    half, error = row["fp16"]["psnr_db"], row["fp16"]["max_error"]
    cells += ["infinite values", ""] if half is None else [f"{half:.1f}", f"{error:.1e}"]
    cells += [f"{row['bf16']['psnr_db']:.1f}", ", ".join(f"`{place}`" for place in row["fp32_modules"]), row["export"]]
    return f"| {' | '.join(cells)} |"


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table."""
    head = ["network", "scale", "value range", "largest", "in", "of 65504", "on noise", "fp16 dB", "fp16 error"]
    head += ["bf16 dB", "in float32", "export"]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *map(line, rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what half precision costs each network.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE, in benchmarks/results")
    args = parser.parse_args()
    result = measure(files.data("images/Set5", "weights"))
    for name in ("weights", "drawn"):
        print(f"\n{markdown(result[name])}")
    if args.json:
        print(f"\nwritten to {files.write(result, args.json).name}")


if __name__ == "__main__":
    main()

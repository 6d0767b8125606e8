"""Memory for upscaling a large photograph, and the error of tiles for networks with a global receptive field.

    python benchmarks/upscaling.py [--json upscaling-cpu.json] [--only memory|approximation]

Memory: `srblocks-upscale` upscales a 4000x3000 photograph x2 with the bundled FSRCNN, in PyTorch and with every
artifact that this machine can build, each in its own process. Peak resident memory is that of the process as reported
by the operating system. It is compared with a process that only imports torch and with the counted activations of an
untiled run. The photograph is NASA's portrait of Eileen Collins (public domain, from scikit-image), resized by Pillow.

Approximation: tiled against untiled output of networks without a finite receptive radius, with random weights of unit
spread: the difference relative to the standard deviation of the untiled output, by halo size.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage import data

import environment
from formatting import rounded, table
from options import parser
from parity import set_unit_spread_weights
from record import Record
from srblocks import create_network, load_pretrained, on_rgb, optimize
from srblocks._utils.memory import peak_bytes
from srblocks.networks import network_specs
from srblocks.tiling import tiled
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS

SIZE = 4000, 3000
IMAGE = 80
TILE = 56
HALOS = (4, 8, 16)


def run_process(*command: str | Path) -> tuple[float, int]:
    """Return the seconds and the peak resident memory in bytes of a command."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise SystemExit(f"upscaling.py: {' '.join(map(str, command))} failed with exit code {code}")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - start, usage.ru_maxrss * unit


def measure_memory() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return one row per model, and reference values."""
    net = load_pretrained("fsrcnn", scale=2)
    formats = tuple(name for name, fmt in FORMATS.items() if "cpu" in fmt.devices and not fmt.missing())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = folder / "photo.jpg"
        Image.fromarray(data.astronaut()).resize(SIZE, Image.Resampling.LANCZOS).save(photo, quality=95)
        reports = export_network(net, ExportConfig(formats=formats, out=folder / "artifacts", verify="one"))
        models = {"PyTorch": "fsrcnn_x2"} | {report.format: str(report.path) for report in reports}
        rows = []
        for title, model in models.items():
            out = folder / title / "photo.jpg"
            command = (sys.executable, "-m", "srblocks.inference", photo, "-o", out, "--model", model, "-q")
            seconds, peak = run_process(*command)
            with Image.open(out) as upscaled:
                if upscaled.size != (2 * SIZE[0], 2 * SIZE[1]):
                    raise SystemExit(f"upscaling.py: {title} returned {upscaled.size}")
            rows.append({"kind": "memory", "model": title, "seconds": seconds, "peak_bytes": peak})
            print(f"{title}: {peak / 2**30:.2f} GiB", flush=True)
        _, import_torch = run_process(sys.executable, "-c", "import torch")
    untiled = peak_bytes(optimize(on_rgb(net)), (1, 3, SIZE[1], SIZE[0]))
    return rows, {"import_torch_bytes": import_torch, "untiled_activation_bytes": untiled}


def memory_markdown(record: Record) -> str:
    """Return the memory rows as a table, with the reference values."""
    rows = [row for row in record.rows if row["kind"] == "memory"]
    width, height = record.parameters["size"]
    names = ("import_torch_bytes", "untiled_activation_bytes")
    import_torch, untiled = (record.parameters[name] / 2**30 for name in names)
    cells = ([row["model"], f"{row['peak_bytes'] / 2**30:.2f}"] for row in rows)
    return (
        f"{table(['FSRCNN x2 in', 'peak resident memory, GiB'], cells)}\n\n"
        f"{width}x{height} to {2 * width}x{2 * height} pixels, JPEG to JPEG, including process start. A process that\n"
        f"only imports torch takes {import_torch:.2f} GiB; the activations of an untiled run would take "
        f"{untiled:.1f} GiB."
    )


@torch.inference_mode()
def measure_approximation() -> list[dict[str, Any]]:
    """Return one row per network with a global receptive field, at its smallest scale."""
    pixels = np.ascontiguousarray(data.astronaut()[64 : 64 + IMAGE, 180 : 180 + IMAGE])
    lr = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    rows = []
    for spec in network_specs():
        scale, size_requirements = next(iter(spec.size_requirements.items()))
        if size_requirements.radius is not None:
            continue
        with torch.inference_mode(False), torch.no_grad():
            torch.manual_seed(0)
            net = set_unit_spread_weights(create_network(spec.name, scale=scale))
        untiled = net(lr)
        errors: dict[int, dict[str, float]] = {}
        for halo in HALOS:
            difference = (tiled(net, lr, tile=TILE, halo=halo) - untiled) / untiled.std()
            errors[halo] = {"rms": float(difference.square().mean().sqrt()), "max": float(difference.abs().max())}
        rows.append({"kind": "approximation", "network": spec.name, "scale": scale, "errors": errors})
        print(" | ".join(approximation_cells(rows[-1])), flush=True)
    return rows


def approximation_cells(row: dict[str, Any]) -> list[str]:
    """Return the table cells of a row."""
    errors = [f"{rounded(100 * error['rms'])} ({rounded(100 * error['max'])})" for error in row["errors"].values()]
    return [f"{row['network']} x{row['scale']}", *errors]


def approximation_markdown(record: Record) -> str:
    """Return the approximation rows as a table."""
    rows = [approximation_cells(row) for row in record.rows if row["kind"] == "approximation"]
    return (
        f"{table(['network', *(f'halo {halo}' for halo in HALOS)], rows)}\n\n"
        f"RMS difference (largest) in percent of the output's standard deviation; {IMAGE}x{IMAGE} pixels in "
        f"tiles of {TILE}.\n"
        "Random weights at full depth; trained weights differ."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    command = parser("Measure memory and accuracy of tiled upscaling.")
    command.add_argument("--only", choices=["memory", "approximation"], help="measure only one of them")
    args = command.parse_args(arguments)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", environment.cores())))
    record = Record.start("upscaling", threads=torch.get_num_threads(), size=SIZE, scale=2)
    if args.only != "approximation":
        rows, values = measure_memory()
        record.rows += rows
        record.parameters |= values
        print(f"\n{memory_markdown(record)}\n")
    if args.only != "memory":
        record.rows += measure_approximation()
        print(f"\n{approximation_markdown(record)}\n")
    if args.json:
        print(f"written to {record.write(args.json)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

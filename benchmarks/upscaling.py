"""What enlarging a large photograph takes, and what tiles change where a network sees the whole image.

    python benchmarks/upscaling.py [--json FILE] [--only memory|approximation]

Memory: `srblocks-upscale` enlarges a photograph of 4000x3000 pixels x2, by the bundled FSRCNN in PyTorch and by every
artifact of it that this machine can build, each in a process of its own. The peak resident memory is the operating
system's figure of that process; that of a process which only imports torch stands beside it, and what the activations
of the photograph as a whole would take (counted, not run). The photograph is NASA's portrait of Eileen Collins (public
domain, from scikit-image), enlarged by Pillow.

Approximation: networks without a receptive radius, tile by tile against the whole image, with drawn weights whose
features keep their spread (no published ones are at hand): the difference of the outputs, relative to the spread of the
whole one, by the halo around what is kept of a tile.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage import data

from harness import environment, files
from harness.parity import give_unit_spread
from srblocks import create_network, load_pretrained, on_rgb, optimize
from srblocks._utils.memory import peak_bytes
from srblocks.networks import network_specs
from srblocks.tiling import tiled
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS

SCHEMA = "srblocks.upscaling/1"
SIZE = 4000, 3000
IMAGE = 80
TILE = 56
HALOS = (4, 8, 16)


def finished(*command: str | Path) -> tuple[float, int]:
    """Seconds that a command took, and its peak resident memory in bytes as the operating system counts it."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"upscaling.py: {' '.join(map(str, command))} ended with {os.waitstatus_to_exitcode(status)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - start, usage.ru_maxrss * unit


def memory() -> dict[str, Any]:
    """One row per way to enlarge the photograph."""
    net = load_pretrained("fsrcnn", scale=2)
    able = tuple(name for name, row in FORMATS.items() if "cpu" in row.devices and not row.missing())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = folder / "photo.jpg"
        Image.fromarray(data.astronaut()).resize(SIZE, Image.Resampling.LANCZOS).save(photo, quality=95)
        reports = export_network(net, ExportConfig(formats=able, out=folder / "artifacts", verify="one"))
        models = {"PyTorch": "fsrcnn_x2"} | {report.format: str(report.path) for report in reports}
        rows = []
        for way, model in models.items():
            out = folder / way / "photo.jpg"
            seconds, peak = finished(
                sys.executable, "-m", "srblocks.inference", photo, "-o", out, "--model", model, "-q"
            )
            with Image.open(out) as enlarged:
                if enlarged.size != (2 * SIZE[0], 2 * SIZE[1]):
                    raise SystemExit(f"upscaling.py: {way} gave {enlarged.size}")
            rows.append({"way": way, "seconds": seconds, "peak_bytes": peak})
            print(line(rows[-1]), flush=True)
        _, torch_alone = finished(sys.executable, "-c", "import torch")
    whole = peak_bytes(optimize(on_rgb(net)), (1, 3, SIZE[1], SIZE[0]))
    return {"size": SIZE, "scale": 2, "rows": rows, "torch_alone_bytes": torch_alone, "whole_bytes": whole}


def line(row: dict[str, Any]) -> str:
    return f"| {row['way']} | {row['peak_bytes'] / 2**30:.2f} |"


def memory_markdown(result: dict[str, Any]) -> str:
    """The rows as a table, and what they are to be compared with."""
    width, height = result["size"]
    alone, whole = (result[name] / 2**30 for name in ("torch_alone_bytes", "whole_bytes"))
    return "\n".join(
        [
            "| FSRCNN x2 in | peak resident memory, GiB |",
            "|---|---|",
            *map(line, result["rows"]),
            "",
            f"{width}x{height} to {2 * width}x{2 * height} pixels, JPEG to JPEG, start of the process included. A",
            f"process that only imports torch takes {alone:.2f} GiB; the activations of the whole at once would take",
            f"{whole:.1f} GiB.",
        ]
    )


@torch.inference_mode()
def approximation() -> list[dict[str, Any]]:
    """One row per network that sees the whole image, at its smallest scale."""
    pixels = np.ascontiguousarray(data.astronaut()[64 : 64 + IMAGE, 180 : 180 + IMAGE])
    lr = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    rows = []
    for spec in network_specs():
        scale, size_requirements = next(iter(spec.size_requirements.items()))
        if size_requirements.radius is not None:
            continue
        with torch.inference_mode(False), torch.no_grad():
            torch.manual_seed(0)
            net = give_unit_spread(create_network(spec.name, scale=scale))
        whole = net(lr)
        errors: dict[int, dict[str, float]] = {}
        for halo in HALOS:
            difference = (tiled(net, lr, tile=TILE, halo=halo) - whole) / whole.std()
            errors[halo] = {"rms": float(difference.square().mean().sqrt()), "max": float(difference.abs().max())}
        rows.append({"network": spec.name, "scale": scale, "errors": errors})
        print(approximation_line(rows[-1]), flush=True)
    return rows


def approximation_line(row: dict[str, Any]) -> str:
    cells = [f"{100 * error['rms']:.2g} ({100 * error['max']:.2g})" for error in row["errors"].values()]
    return f"| {row['network']} x{row['scale']} | {' | '.join(cells)} |"


def approximation_markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    heads = " | ".join(f"halo {halo}" for halo in HALOS)
    table = [f"| network | {heads} |", f"|---|{'---|' * len(HALOS)}", *map(approximation_line, rows)]
    note = f"Difference in per cent of the spread of the output, root mean square (largest); {IMAGE}x{IMAGE} pixels in"
    return "\n".join([*table, "", f"{note} tiles of {TILE}.", "Drawn weights at full depth; trained ones differ."])


def ran_on(result: dict[str, Any]) -> str:
    """The machine, in a sentence."""
    load = f"average {result['load']['before']} before and {result['load']['after']} after"
    return environment.headline(result["environment"] | {"load": load})


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure memory and exactness of enlarging tile by tile.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE, in benchmarks/results")
    parser.add_argument("--only", choices=["memory", "approximation"], help="measure one of them")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", environment.cores())))
    about = environment.describe(threads=torch.get_num_threads())
    before = environment.load()
    result: dict[str, Any] = {"schema": SCHEMA, "environment": about}
    if args.only != "approximation":
        result["memory"] = memory()
        print(f"\n{memory_markdown(result['memory'])}\n")
    if args.only != "memory":
        result["approximation"] = approximation()
        print(f"\n{approximation_markdown(result['approximation'])}\n")
    result["load"] = {"before": before, "after": environment.load()}
    if args.json:
        print(f"written to {files.write(result, args.json).name}")


if __name__ == "__main__":
    main()

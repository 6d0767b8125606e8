"""What bounds the speed of networks: multiply-accumulates, bytes, and the least time that a device needs for them.

    python benchmarks/roofline.py [--device h100] [--precision fp16] [--output 1280x720]
    python benchmarks/roofline.py --networks rcan-x4 edsr_baseline --optimized --json roofline.json
    python benchmarks/roofline.py --networks all --device cpu --threads 2 --precision bf16
    python benchmarks/roofline.py --flops 330e12 --bandwidth 1008e9

Networks are those of the registry, counted for one image of `--output` pixels, which nothing computes. MiB are the
least that has to be moved: the input, the output and the weights, once. Three bounds, in microseconds, assume more and
more of the network in one kernel (`harness.roofline.Bounds`): the whole of it, each convolution with what follows it
up to the next one, and each operation by itself. The first ratio is what is left to gain behind convolutions with
epilogues, the second what these gain over PyTorch's eager execution; the share is that of the last bound in operations
that wait for memory.
"""

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from harness.files import write
from harness.roofline import DEVICES, Bounds, Device, Work, bounds, measured_cpu, work
from srblocks import create_network, optimize
from srblocks.networks import network_specs
from srblocks.precision import PRECISIONS
from srblocks.registry import NetworkSpec

SCHEMA = "srblocks.roofline/1"
DOCUMENTED = (
    *(f"{name}-x{scale}" for name in ("edsr_baseline", "rcan", "rdn", "srresnet") for scale in (2, 4)),
    *(f"{name}-x{scale}" for name in ("espcn", "fsrcnn", "vdsr", "carn") for scale in (2, 4)),
    *("srcnn-x2", "drrn_b1u9-x2", "memnet-x2", "lapsrn-x4", "dbpn-x4", "srdensenet-x4"),
)
"""What is shown where no network is named."""

HEAD = ("network", "scale", "input", "GMAC", "MiB", "ops", "fused us", "epilogue us", "layer by layer us")
RATIOS = ("epilogue / fused", "layer / epilogue", "memory-bound")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        network: registry name.
        scale: enlargement per side.
        optimized: after `srblocks.optimize`.
        size: height and width of the input.
        work: what was counted.
        bounds: the least seconds.
    """

    network: str
    scale: int
    optimized: bool
    size: tuple[int, int]
    work: Work
    bounds: Bounds

    @property
    def cells(self) -> list[str]:
        """What the table says of it."""
        found = self.bounds
        times = [f"{1e6 * seconds:.1f}" for seconds in (found.fused, found.epilogue, found.layered)]
        return [
            self.network + ", optimized" * self.optimized,
            f"x{self.scale}",
            "{}x{}".format(*self.size),
            f"{self.work.macs / 1e9:.1f}",
            f"{self.work.minimal_bytes / 2**20:.1f}",
            str(self.work.operations),
            *times,
            f"{found.epilogue / found.fused:.2f}",
            f"{found.layered / found.epilogue:.2f}",
            f"{found.memory_share:.2f}",
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain data; bounds in seconds."""
        return {
            "network": self.network,
            "scale": self.scale,
            "optimized": self.optimized,
            "size": self.size,
            "macs": self.work.macs,
            "minimal_bytes": self.work.minimal_bytes,
            "operations": self.work.operations,
            "bounds": asdict(self.bounds),
        }


def chosen(names: Iterable[str]) -> list[tuple[NetworkSpec, int]]:
    """The networks and scales of names: "rcan-x4", "rcan" for all its scales, or "all".

    Raises:
        ValueError: a name of none; the message has the closest ones.
    """
    rows = {f"{spec.name}-x{scale}": (spec, scale) for spec in network_specs() for scale in spec.scales}
    found: dict[str, tuple[NetworkSpec, int]] = {}
    for name in names:
        named = {key: row for key, row in rows.items() if name in ("all", key, row[0].name)}
        if not named:
            known = [*rows, *dict.fromkeys(spec.name for spec, _ in rows.values())]
            close = difflib.get_close_matches(name, known, cutoff=0.5) or ["rcan-x4", "rcan", "all"]
            raise ValueError(f"unknown network {name!r}; give names such as {', '.join(close)}")
        found |= named
    return list(found.values())


def input_size(spec: NetworkSpec, scale: int, output: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the input for an output of at most that width and height.

    Raises:
        ValueError: the network takes no image that small.
    """
    size_requirements = spec.size_requirements[scale]
    multiple = size_requirements.size_multiple
    width, height = (side // scale // multiple * multiple for side in output)
    if min(width, height) < size_requirements.min_size:
        least = scale * size_requirements.min_size
        raise ValueError(f"{spec.name}-x{scale}: {output[0]}x{output[1]} is too small; its output is at least {least}")
    return height, width


def rows_of(
    spec: NetworkSpec, scale: int, device: Device, precision: str, output: tuple[int, int], *, optimized: bool
) -> list[Row]:
    """Count a network, and with `optimized` what `srblocks.optimize` makes of it."""
    size = input_size(spec, scale, output)
    with torch.device("cpu" if optimized else "meta"):
        net = create_network(spec.name, scale=scale).eval()
    rows = []
    for variant in (net, optimize(net)) if optimized else (net,):
        done = work(variant, (1, spec.image_channels, *size), precision)
        rows.append(Row(spec.name, scale, variant is not net, size, done, bounds(done, device, precision)))
    return rows


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table."""
    head = (*HEAD, *RATIOS)
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row.cells)} |" for row in rows)])


def device_of(args: argparse.Namespace) -> Device:
    """The device that the command line describes.

    Raises:
        ValueError: an unknown one, or a description that is incomplete.
    """
    figures = (args.flops, args.bandwidth)
    if any(figures):
        if args.device or not all(figures):
            raise ValueError("a device is described by --flops and --bandwidth together, without --device")
        return Device("described device", {args.precision: args.flops}, args.bandwidth)
    name = args.device or "h100"
    if name == "cpu":
        return measured_cpu(args.threads, (args.precision,))
    if name not in DEVICES:
        raise ValueError(f"unknown device {name!r}; use {', '.join(DEVICES)} or cpu, or describe one by --flops")
    return DEVICES[name]


def pixels(text: str) -> tuple[int, int]:
    """Width and height."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give width x height, as 1280x720")
    return int(match[1]), int(match[2])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description="Say what bounds the speed of networks on a device.")
    found.add_argument("--device", metavar="NAME", help=f"{', '.join(DEVICES)}, or cpu: this one, measured (h100)")
    found.add_argument("--threads", type=int, default=1, help="threads of the measured CPU (1)")
    found.add_argument("--flops", type=float, metavar="N", help="FLOP/s of a device of your own, in the precision")
    found.add_argument("--bandwidth", type=float, metavar="N", help="bytes/s of its memory")
    found.add_argument("--precision", choices=tuple(PRECISIONS), default="fp16", help="of weights and features (fp16)")
    found.add_argument("--output", type=pixels, default=(1280, 720), metavar="WxH", help="output pixels (1280x720)")
    found.add_argument("--networks", nargs="+", metavar="NAME", default=DOCUMENTED, help="as rcan-x4, rcan, or all")
    found.add_argument("--optimized", action="store_true", help="also what srblocks.optimize makes of each network")
    found.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE, in benchmarks/results")
    return found


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Count what is asked for, print it, and give it as plain data."""
    networks = chosen(args.networks)
    device = device_of(args)
    if args.precision not in device.flops:
        raise ValueError(f"{device.name}: no FLOP/s in {args.precision}; it has {', '.join(device.flops)}")
    peak = device.flops[args.precision]
    print(f"{device.name}: {args.precision} {peak / 1e12:.4g} TFLOP/s, {device.bandwidth / 1e9:.4g} GB/s\n")
    rows: list[Row] = []
    for spec, scale in networks:
        rows += rows_of(spec, scale, device, args.precision, args.output, optimized=args.optimized)
    print(markdown(rows))
    return {
        "schema": SCHEMA,
        "device": asdict(device),
        "precision": args.precision,
        "output": args.output,
        "rows": [row.to_json() for row in rows],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parser().parse_args(arguments)
    try:
        result = run(args)
    except ValueError as error:
        raise SystemExit(f"roofline.py: {error}") from None
    if args.json:
        print(f"\nwritten to {write(result, args.json).name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

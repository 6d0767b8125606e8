"""Roofline bounds of networks: multiply-accumulates, memory traffic, and the minimum time on a device.

    python benchmarks/roofline.py [--device h100] [--precision fp16] [--output 1280x720]
    python benchmarks/roofline.py --networks rcan-x4 edsr_baseline --optimized --json roofline.json
    python benchmarks/roofline.py --networks all --device cpu --threads 2 --precision bf16
    python benchmarks/roofline.py --flops 330e12 --bandwidth 1008e9

Registered networks are counted for one image of `--output` pixels, without computing anything. MiB is the minimum
memory traffic: input, output and weights, once each. The three bounds, in microseconds, assume decreasing fusion
(`devices.Bounds`): the entire network in one kernel, pointwise operations fused into convolutions, and every operation
separately. The first ratio is the potential beyond epilogue fusion, the second the gain of epilogue fusion over
PyTorch's eager mode; the last column is the fraction of the last bound in memory-bound operations.
"""

import difflib
import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from devices import DEVICES, Bounds, Device, bounds, measured_cpu
from formatting import table
from operations import Work, work
from options import parser
from record import Record
from srblocks import create_network, optimize
from srblocks.networks import network_specs
from srblocks.precision import PRECISIONS
from srblocks.registry import NetworkSpec

DOCUMENTED = (
    *(f"{name}-x{scale}" for name in ("edsr_baseline", "rcan", "rdn", "srresnet") for scale in (2, 4)),
    *(f"{name}-x{scale}" for name in ("espcn", "fsrcnn", "vdsr", "carn") for scale in (2, 4)),
    *("srcnn-x2", "drrn_b1u9-x2", "memnet-x2", "lapsrn-x4", "dbpn-x4", "srdensenet-x4"),
)
"""Networks of the default table."""

HEAD = (
    *("network", "scale", "input", "GMAC", "MiB", "ops", "fused us", "epilogue us", "layered us"),
    *("epilogue / fused", "layered / epilogue", "memory-bound"),
)


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        network: registry name.
        scale: upscaling factor.
        optimized: True after `srblocks.optimize`.
        size: height and width of the input.
        work: the counted operations.
        bounds: the bounds in seconds.
    """

    network: str
    scale: int
    optimized: bool
    size: tuple[int, int]
    work: Work
    bounds: Bounds

    @property
    def cells(self) -> list[str]:
        """The cells of the table row."""
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
        """Return the row of the record; bounds in seconds."""
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
    """Return the networks and scales of names: "rcan-x4", "rcan" for all its scales, or "all".

    Raises:
        ValueError: an unknown name; the message has the closest ones.
    """
    rows = {f"{spec.name}-x{scale}": (spec, scale) for spec in network_specs() for scale in spec.scales}
    found: dict[str, tuple[NetworkSpec, int]] = {}
    for name in names:
        named = {key: row for key, row in rows.items() if name in ("all", key, row[0].name)}
        if not named:
            known = [*rows, *dict.fromkeys(spec.name for spec, _ in rows.values())]
            close = difflib.get_close_matches(name, known, cutoff=0.5) or ["rcan-x4", "rcan", "all"]
            raise ValueError(f"unknown network {name!r}; closest: {', '.join(close)}")
        found |= named
    return list(found.values())


def input_size(spec: NetworkSpec, scale: int, output: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of the input for an output of at most this width and height.

    Raises:
        ValueError: the network requires larger images.
    """
    size_requirements = spec.size_requirements[scale]
    multiple = size_requirements.size_multiple
    width, height = (side // scale // multiple * multiple for side in output)
    if min(width, height) < size_requirements.min_size:
        least = scale * size_requirements.min_size
        raise ValueError(
            f"{spec.name}-x{scale}: {output[0]}x{output[1]} is too small; the smallest output is {least}x{least}"
        )
    return height, width


def rows_of(
    spec: NetworkSpec, scale: int, device: Device, precision: str, output: tuple[int, int], *, optimized: bool
) -> list[Row]:
    """Count a network, and with `optimized` also its optimized version."""
    size = input_size(spec, scale, output)
    with torch.device("cpu" if optimized else "meta"):
        net = create_network(spec.name, scale=scale).eval()
    rows = []
    for variant in (net, optimize(net)) if optimized else (net,):
        counted = work(variant, (1, spec.image_channels, *size), precision)
        rows.append(Row(spec.name, scale, variant is not net, size, counted, bounds(counted, device, precision)))
    return rows


def markdown(rows: Iterable[Row]) -> str:
    """Return the rows as a table."""
    return table(HEAD, (row.cells for row in rows))


def device_of(args: Namespace) -> Device:
    """Return the device of the command line.

    Raises:
        ValueError: an unknown device or an incomplete description.
    """
    values = (args.flops, args.bandwidth)
    if any(values):
        if args.device or not all(values):
            raise ValueError("--flops and --bandwidth must be given together and without --device")
        return Device("custom device", {args.precision: args.flops}, args.bandwidth)
    name = args.device or "h100"
    if name == "cpu":
        return measured_cpu(args.threads, (args.precision,))
    if name not in DEVICES:
        raise ValueError(f"unknown device {name!r}; available: {', '.join(DEVICES)}, cpu, or --flops with --bandwidth")
    return DEVICES[name]


def pixels(text: str) -> tuple[int, int]:
    """Parse width and height."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not match:
        raise ArgumentTypeError(f"expected WxH, such as 1280x720, got {text!r}")
    return int(match[1]), int(match[2])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    command = parser("Compute roofline bounds of networks on a device.")
    command.add_argument("--device", metavar="NAME", help=f"{', '.join(DEVICES)}, or cpu (measured); default h100")
    command.add_argument("--threads", type=int, default=1, help="threads of the measured CPU (1)")
    command.add_argument("--flops", type=float, metavar="N", help="FLOP/s of a custom device at the precision")
    command.add_argument("--bandwidth", type=float, metavar="N", help="memory bandwidth of a custom device in bytes/s")
    command.add_argument("--precision", choices=tuple(PRECISIONS), default="fp16", help="of weights and features")
    command.add_argument("--output", type=pixels, default=(1280, 720), metavar="WxH", help="output size (1280x720)")
    command.add_argument("--networks", nargs="+", metavar="NAME", default=DOCUMENTED, help="rcan-x4, rcan, or all")
    command.add_argument("--optimized", action="store_true", help="also the optimized networks")
    args = command.parse_args(arguments)
    try:
        networks = chosen(args.networks)
        device = device_of(args)
        if args.precision not in device.flops:
            raise ValueError(f"{device.name}: no FLOP/s in {args.precision}; available: {', '.join(device.flops)}")
        peak = device.flops[args.precision]
        print(f"{device.name}: {args.precision} {peak / 1e12:.4g} TFLOP/s, {device.bandwidth / 1e9:.4g} GB/s\n")
        rows: list[Row] = []
        for spec, scale in networks:
            rows += rows_of(spec, scale, device, args.precision, args.output, optimized=args.optimized)
    except ValueError as error:
        raise SystemExit(f"roofline.py: {error}") from None
    print(markdown(rows))
    if args.json:
        record = Record.start("roofline", threads=args.threads, precision=args.precision, output=args.output)
        record.parameters["device"] = asdict(device)
        record.rows = [row.to_json() for row in rows]
        print(f"\nwritten to {record.write(args.json)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Latency of networks in every backend, with parity, memory, build time and roofline bound.

    python benchmarks/latency.py [--quick] [--json FILE] [--chart FILE]
    python benchmarks/latency.py --device cuda --json latency-gpu.json --chart latency-gpu.png
    python benchmarks/latency.py --networks edsr_baseline-x4 --shapes 1x270x480 --backends onnxruntime OpenVINO

All candidates of a network and input size run in one process in interleaved rounds. On the CPU, runs of less than a
quarter of a second are repeated and the second run is timed. On a GPU, time is measured between CUDA events with a cold
L2 cache, and separately as wall time including transfers. The reference is the original network in eager float32 with
random weights. The bound is the minimum time for the convolutions and their memory traffic with all pointwise
operations fused into them (benchmarks/roofline.py).
"""

import importlib.util
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch

import cuda_timing
from backends import BACKENDS, Configuration, configurations
from chart import chart
from devices import Device, bounds, from_cuda_name, measured_cpu
from formatting import rounded, table
from measure import EAGER, OPTIMIZED, ORIGINAL, Row, by_case, label_of, measure
from operations import work
from options import parser
from parity import TOLERANCE, random_network
from record import Record, result_path
from srblocks import optimize
from srblocks.network import Network
from srblocks.networks import network_specs

NETWORKS = (
    *("fsrcnn-x2", "espcn-x3", "srcnn-x2", "vdsr-x2", "lapsrn-x4", "carn-x4", "srresnet-x4"),
    *("edsr_baseline-x4", "rdn-x4", "rcan-x4", "drn_s-x4"),
)
SHAPES = ("1x64x64", "4x64x64", "1x270x480", "1x540x960")
QUICK = (("fsrcnn-x2", "1x64x64"), ("fsrcnn-x2", "1x270x480"), ("edsr_baseline-x4", "1x64x64"))
PRECISIONS = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "fp16")}
BASELINES = {"cpu": (EAGER,), "cuda": (EAGER, "channels_last fp16", "compile max-autotune fp16")}
"""Configurations in which the original network is measured as well."""
COMPILED, MANY_OPERATIONS = ("compile", "AOTInductor"), 1000
"""On the CPU these take minutes for larger networks and are skipped unless ``--backends`` names them."""
SLOW, SLOW_ROUNDS = 0.25, 5
"""Networks with a higher bound in seconds get fewer rounds on the CPU."""
GPU_GOALS = {("edsr_baseline", 4): 1.5, ("rcan", 4): 2.0, ("fsrcnn", 2): 2.0, ("fsrcnn", 4): 2.0}
"""Required speedup in fp16 on a GPU: optimized network in its best backend over the original in its best baseline."""

Limits = Mapping[tuple[str, str], float]
"""(implementation, precision) -> roofline bound in seconds."""


@dataclass(frozen=True)
class Case:
    """One network at one input size."""

    network: str
    scale: int
    batch: int
    height: int
    width: int

    @classmethod
    def parse(cls, network: str, shape: str) -> "Case":
        """Parse names such as "rcan-x4" and "1x270x480".

        Raises:
            SystemExit: unknown network, scale or shape.
        """
        name, _, scale = network.rpartition("-x")
        specs = {spec.name: spec for spec in network_specs()}
        if name not in specs or not scale.isdecimal() or int(scale) not in specs[name].scales:
            known = ", ".join(f"{spec.name}-x{scale}" for spec in specs.values() for scale in spec.scales)
            raise SystemExit(f"latency.py: unknown network {network!r}; available: {known}")
        if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", shape):
            raise SystemExit(f"latency.py: invalid shape {shape!r}; expected NxHxW, such as 1x270x480")
        return cls(name, int(scale), *map(int, shape.split("x")))

    @property
    def title(self) -> str:
        """Network, scale and input size."""
        return f"{self.network} x{self.scale}, {self.batch}x{self.height}x{self.width}"


def measure_case(
    case: Case, requested: Sequence[Configuration], device: Device | None, args: Namespace
) -> tuple[list[Row], dict[str, str]]:
    """Measure one network at one input size; return the rows and what was skipped."""
    net = random_network(case.network, case.scale)
    nets = {ORIGINAL: net, OPTIMIZED: optimize(net)}
    min_size, multiple = nets[OPTIMIZED].min_size, net.size_multiple
    if any(side < min_size or side % multiple for side in (case.height, case.width)):
        return [], {case.title: f"requires sides >= {min_size} in multiples of {multiple}"}
    shape = (case.batch, net.image_channels, case.height, case.width)
    limits = bounds_of(nets, shape, requested, device, args)
    kept, skipped = affordable(requested, work(nets[OPTIMIZED], shape).operations, limits, args)
    rows: list[Row] = []
    if kept:
        labels = [one.label for one in kept]
        candidates = [(ORIGINAL, label) for label in labels if args.original or label in BASELINES[args.device]]
        candidates += [(OPTIMIZED, label) for label in labels]
        slow = args.device == "cpu" and limits.get((OPTIMIZED, "fp32"), 0.0) > SLOW
        rows, failed = measure(
            nets,
            torch.rand(shape),
            candidates,
            about={"network": case.network, "scale": case.scale},
            device=args.device,
            threads=args.threads,
            rounds=args.rounds or (SLOW_ROUNDS if slow else None),
            tf32=args.tf32,
        )
        skipped |= failed
    for row in rows:
        limit = limits.get((row["implementation"], row["precision"]))
        row["bound_ms"] = None if limit is None else round(1000 * limit, 4)
        label = f"{row['implementation']} in {label_of(row)}"
        print(f"{case.title}, {label}: {rounded(row['ms']['median'])} ms, {row['speedup']:.2f}x{'*' * row['noisy']}")
    return rows, {f"{case.title}, {what}": reason for what, reason in skipped.items()}


def bounds_of(
    nets: Mapping[str, Network],
    shape: tuple[int, ...],
    requested: Sequence[Configuration],
    device: Device | None,
    args: Namespace,
) -> Limits:
    """Return the roofline bounds of the networks in every requested precision that the device supports."""
    precisions = dict.fromkeys(["fp32", *(one.precision for one in requested)])
    return {
        (name, precision): bounds(work(net, shape, precision), device).epilogue
        for name, net in nets.items()
        for precision in precisions
        if device and precision in device.flops and not (args.tf32 and precision == "fp32")
    }


def affordable(
    requested: Sequence[Configuration], operations: int, limits: Limits, args: Namespace
) -> tuple[list[Configuration], dict[str, str]]:
    """Return the configurations that are fast enough to measure on the CPU, and why others are skipped."""
    if args.device != "cpu":
        return list(requested), {}
    slow = {
        precision for (name, precision), seconds in limits.items() if name == OPTIMIZED and seconds > args.max_seconds
    }
    skipped = dict.fromkeys(sorted(slow), f"a run takes more than {args.max_seconds:g} s (--max-seconds)")
    kept = [one for one in requested if not slow & {"fp32", one.precision}]
    too_many = operations > MANY_OPERATIONS and not args.backends
    for name in COMPILED if too_many else ():
        skipped[name] = f"{operations} operations take minutes to compile (--backends)"
    return [one for one in kept if not (too_many and one.backend.name in COMPILED)], skipped


def megapixels(row: Row) -> float:
    """Return the output megapixels of a row."""
    batch, _, height, width = row["shape"]
    return batch * height * width * row["scale"] ** 2 / 1e6


def parity_text(row: Row) -> str:
    """Return PSNR in decibels for rounded outputs, the relative error for exact ones."""
    if row["psnr_db"] and row["relative_error"] > TOLERANCE:
        return f"{row['psnr_db']:.0f} dB"
    return f"{row['relative_error']:.0e}"


def details(rows: Sequence[Row]) -> str:
    """Return every measurement as a table; milliseconds are median (minimum)."""
    transfers = any(row["end_to_end_ms"] for row in rows)
    head = ["network", "input", "backend", "implementation", "ms", "p10-p90", *(["end-to-end ms"] if transfers else [])]
    head += ["ms/MP", "speedup", "of bound", "memory MB", "build s", "file MB", "error"]
    lines = []
    for (network, size), found in by_case(rows).items():
        for row in found:
            ms, bound, memory, file = row["ms"], row["bound_ms"], row["memory_bytes"], row["artifact_bytes"]
            cells = [network, size, label_of(row), row["implementation"]]
            cells.append(f"{rounded(ms['median'])} ({rounded(ms['min'])}){'*' * row['noisy']}")
            cells.append(f"{rounded(ms['p10'])}-{rounded(ms['p90'])}")
            cells += [rounded(row["end_to_end_ms"]["median"])] if transfers else []
            cells += [rounded(ms["median"] / megapixels(row)), f"{row['speedup']:.2f}"]
            cells.append(f"{100 * bound / ms['median']:.0f} %" if bound else "")
            cells += ["" if memory is None else f"{memory / 1e6:.1f}", f"{row['build_seconds']:.1f}"]
            lines.append([*cells, f"{file / 1e6:.2f}" if file else "", parity_text(row)])
    return table(head, lines)


def fastest(rows: Sequence[Row], precision: str, implementation: str = OPTIMIZED) -> Row | None:
    """Return the fastest row of a precision; None if there is none."""
    found = [row for row in rows if row["precision"] == precision and row["implementation"] == implementation]
    return min(found, key=lambda row: row["ms"]["median"], default=None)


def summary(rows: Sequence[Row]) -> str:
    """Return one table row per case: the original in eager mode, the rewrites alone, and the fastest backends."""
    precisions = [name for name in ("fp32", "fp16", "bf16") if any(row["precision"] == name for row in rows)]
    head = ["network", "input", "original, eager fp32", "rewrites alone", *(f"fastest {name}" for name in precisions)]
    lines = []
    for (network, size), found in by_case(rows).items():
        eager = {row["implementation"]: row for row in found if label_of(row) == EAGER}
        original, optimized = eager.get(ORIGINAL), eager.get(OPTIMIZED)
        cells = [network, size, f"{rounded(original['ms']['median'])} ms{'*' * original['noisy']}" if original else ""]
        cells.append(f"{optimized['speedup']:.2f}x{'*' * optimized['noisy']}" if optimized else "")
        for precision in precisions:
            row = fastest(found, precision)
            cells.append(f"{row['speedup']:.1f}x{'*' * row['noisy']}, {row['backend']}" if row else "")
        lines.append(cells)
    return table(head, lines)


def gpu_speedups(rows: Sequence[Row]) -> Iterator[tuple[str, float, float | None]]:
    """Yield case, fp16 speedup over the best original in fp16, and its goal."""
    for (network, size), found in by_case(rows).items():
        best = [fastest(found, "fp16", name) for name in (ORIGINAL, OPTIMIZED)]
        if best[0] and best[1]:
            goal = GPU_GOALS.get((best[0]["network"], best[0]["scale"]))
            yield f"{network}, {size}", best[0]["ms"]["median"] / best[1]["ms"]["median"], goal


def command() -> ArgumentParser:
    """Return the parser of the command line."""
    found = parser("Measure the latency of networks in every backend.", "quick", "timing", "device")
    found.add_argument("--networks", nargs="+", metavar="NAME", help=f"default: {' '.join(NETWORKS)}")
    found.add_argument("--shapes", nargs="+", metavar="NxHxW", help=f"input sizes (default: {' '.join(SHAPES)})")
    found.add_argument("--backends", nargs="+", choices=BACKENDS, metavar="NAME", help=f"any of {', '.join(BACKENDS)}")
    found.add_argument("--precisions", nargs="+", choices=("fp32", "fp16", "bf16"))
    found.add_argument("--original", action="store_true", help="also measure the original network in every backend")
    found.add_argument("--max-seconds", type=float, default=2.0, help="skip slower runs on the CPU (2)")
    found.add_argument("--chart", metavar="FILE", help="write a PNG chart to FILE in benchmarks/results")
    return found


def chosen_cases(args: Namespace) -> list[Case]:
    """Return the cases of the command line."""
    if args.quick and (args.networks or args.shapes):
        raise SystemExit("latency.py: --quick excludes --networks and --shapes")
    pairs = QUICK if args.quick else [(n, s) for n in args.networks or NETWORKS for s in args.shapes or SHAPES]
    return [Case.parse(*pair) for pair in pairs]


def chosen_configurations(args: Namespace) -> tuple[list[Configuration], dict[str, str]]:
    """Return the available configurations of the command line, and why others are unavailable."""
    precisions = args.precisions or PRECISIONS[args.device]
    requested = [one for one in configurations(args.device) if one.precision in precisions]
    requested = [one for one in requested if not args.backends or one.backend.name in args.backends]
    missing = {one.label: reason for one in requested if (reason := one.missing(args.device))}
    return [one for one in requested if one.label not in missing], missing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if an output is wrong."""
    args = command().parse_args(arguments)
    if args.chart and importlib.util.find_spec("matplotlib") is None:
        raise SystemExit('latency.py: --chart requires matplotlib; pip install "srblocks[bench]"')
    cases = chosen_cases(args)
    torch.set_num_threads(args.threads)
    if args.device == "cuda":
        cuda_timing.prepare(tf32=args.tf32)
    record = Record.start("latency", threads=args.threads, device=args.device, tf32=args.tf32)
    device = measured_cpu(args.threads) if args.device == "cpu" else from_cuda_name(torch.cuda.get_device_name())
    record.parameters["device"] = device and asdict(device)
    requested, record.skipped = chosen_configurations(args)
    if not requested:
        raise SystemExit("latency.py: no backend is available; remove --backends or --precisions")
    for case in cases:
        rows, skipped = measure_case(case, requested, device, args)
        record.rows += rows
        record.skipped |= skipped
        if args.json:
            record.write(args.json)
    record.print_skipped()
    if not record.rows:
        raise SystemExit("latency.py: nothing was measured")
    print(f"\n{summary(record.rows)}\n\nSpeedups are relative to the original network in eager fp32; * noisy.")
    for title, ratio, goal in gpu_speedups(record.rows):
        print(f"{title}: fp16 {ratio:.2f}x" + (f", goal {goal}" if goal else ""))
    if args.chart:
        print(f"chart written to {chart(record, result_path(args.chart)).name}")
    return int(record.has_wrong_outputs)


if __name__ == "__main__":
    raise SystemExit(main())

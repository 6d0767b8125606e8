"""How long each network takes in each engine, beside what it gives: parity, memory, build time, and the bound.

    python benchmarks/latency.py [--quick] [--json FILE] [--chart FILE]
    python benchmarks/latency.py --device cuda --json latency-gpu.json --chart latency-gpu.png
    python benchmarks/latency.py --networks edsr_baseline-x4 --shapes 1x270x480 --engines onnxruntime OpenVINO

All candidates of a network and shape run in one process, in turn, round after round. On the CPU what takes less than a
quarter of a second runs twice in its turn, and the second run counts; on a GPU the time is that between CUDA events
with the second-level cache overwritten ahead of each run, and, apart, that of the clock with the transfers from and to
the host. Every candidate takes float32 images and gives float32 images, whatever it computes in between. Weights are
random, scaled so that features neither fade nor grow; the reference of every output is the plain network in float32,
and its error is relative to the reference's standard deviation. Memory is on the CPU what a run adds to the resident
memory at the most, on a GPU what the candidate takes of the device, weights included. Build time lasts until the first
output. The bound is the time that the network's convolutions and their memory traffic need at the least with all
pointwise work fused into them (benchmarks/roofline.py).
"""

import argparse
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from harness import cuda, environment
from harness.arguments import positive
from harness.candidates import ready_all, subjects_of, timed
from harness.chart import chart
from harness.comparison import reference_output
from harness.engines import ENGINES, Way, ways
from harness.files import resolved, write
from harness.inputs import NETWORKS, QUICK, SHAPES, Asked
from harness.latency import SCHEMA, Measurement, markdown, validated, verdicts
from harness.parity import drawn, parity
from harness.roofline import Device, bounds, measured_cpu, of_cuda_name, work
from srblocks import optimize

Limits = Mapping[tuple[str, str], float]
"""Variant and precision -> the least seconds."""
PLAIN, OPTIMIZED = "plain", "optimized"
REFERENCE_KEY = "eager fp32", PLAIN
PRECISIONS = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "fp16")}
BASELINES = {"cpu": ("eager fp32",), "cuda": ("eager fp32", "channels_last fp16", "compile max-autotune fp16")}
"""What users of a plain network have; it runs in these."""
COMPILED, MANY = ("compile", "AOTInductor"), 1000
"""On the CPU these take minutes for networks of more operations than that, and run where `--engines` names them."""
LONG, FEWER_ROUNDS = 0.25, 5
"""A network that needs more seconds than the first on the CPU gets that many rounds."""


def asked(args: argparse.Namespace) -> list[Asked]:
    """What the command line asks for."""
    if args.quick and (args.networks or args.shapes):
        raise SystemExit("latency.py: --quick has cases of its own; leave out --networks and --shapes, or --quick")
    if args.quick:
        return [Asked.named(*pair) for pair in QUICK]
    networks, shapes = args.networks or NETWORKS, args.shapes or SHAPES
    return [Asked.named(network, shape) for network in networks for shape in shapes]


def chosen_ways(args: argparse.Namespace) -> tuple[list[Way], dict[str, str]]:
    """The engines and precisions that the command line asks for, and why some of them cannot run."""
    precisions = args.precisions or PRECISIONS[args.device]
    wanted = [
        way
        for way in ways(args.device)
        if way.precision in precisions and (not args.engines or way.engine.name in args.engines)
    ]
    absent = {way.label: reason for way in wanted if (reason := way.missing(args.device))}
    return [way for way in wanted if way.label not in absent], absent


def described(args: argparse.Namespace) -> Device | None:
    """What the device can do at the most: measured on the CPU, of a data sheet on a GPU; None where there is none."""
    return measured_cpu(args.threads) if args.device == "cpu" else of_cuda_name(torch.cuda.get_device_name())


def measure(
    case: Asked, found: Sequence[Way], device: Device | None, args: argparse.Namespace
) -> Iterator[Measurement]:
    """Measure one network on one shape; say what is left out."""
    net = drawn(case.network, case.scale)
    nets = {PLAIN: net, OPTIMIZED: optimize(net)}
    if not case.fits(nets[OPTIMIZED]):
        least, multiple = nets[OPTIMIZED].min_size, net.size_multiple
        print(f"left out: {case.title}, it takes sides of {least} or more, multiples of {multiple}", flush=True)
        return
    shape = (case.batch, net.image_channels, case.height, case.width)
    limits = {
        (variant, precision): bounds(work(one, shape, precision), device).epilogue
        for variant, one in nets.items()
        for precision in dict.fromkeys(["fp32", *(way.precision for way in found)])
        if device and precision in device.flops and not (args.tf32 and precision == "fp32")
    }
    found = list(affordable(case, found, work(nets[OPTIMIZED], shape).operations, limits, args))
    if not found:
        return
    seconds = limits.get((OPTIMIZED, "fp32"), 0.0)
    rounds = args.rounds or (FEWER_ROUNDS if args.device == "cpu" and seconds > LONG else None)
    lr = torch.rand(shape)
    before = environment.load()
    with subjects_of(nets, lr, device=args.device, threads=args.threads, tf32=args.tf32) as subjects:
        try:
            reference = reference_output(net, lr, args.device, tf32=args.tf32)
        except RuntimeError as error:  # out of memory, above all
            print(f"left out: {case.title}, {str(error).splitlines()[0]}", flush=True)
            return
        keys = [REFERENCE_KEY]
        keys += [(way.label, PLAIN) for way in found if args.plain or way.label in BASELINES[args.device]]
        keys += [(way.label, OPTIMIZED) for way in found]
        entries = {
            (label, variant): (Way.named(label).engine, subjects[variant].at(Way.named(label).precision))
            for label, variant in dict.fromkeys(keys)
        }
        candidates, failed = ready_all(entries)
        for (label, variant), reason in failed.items():
            print(f"left out: {case.title}, {variant} network in {label}, {reason}", flush=True)
        if REFERENCE_KEY not in candidates:
            return
        times = timed(candidates, device=args.device, rounds=rounds)
    load = max(before, environment.load())
    for key, one in candidates.items():
        way, variant = Way.named(key[0]), key[1]
        yield Measurement(
            network=case.network,
            scale=case.scale,
            shape=shape,
            engine=way.engine.name,
            precision=way.precision,
            device=args.device,
            variant=variant,
            warm_up=cuda.WARM_UP if args.device == "cuda" else 1,
            time=times[key],
            reference=times[REFERENCE_KEY].timing,
            costs=one.costs,
            parity=parity(one.output, reference, way.precision, tf32=args.tf32),
            bound_ms=1000 * limits[variant, way.precision] if (variant, way.precision) in limits else None,
            load=load,
            cores=environment.cores(),
        )


def affordable(
    case: Asked, found: Sequence[Way], operations: int, limits: Limits, args: argparse.Namespace
) -> Iterator[Way]:
    """Those ways that do not take too long on the CPU, none where float32 does; say what is left out."""
    if args.device != "cpu":
        yield from found
        return
    slow = {
        precision: seconds
        for (variant, precision), seconds in limits.items()
        if variant == OPTIMIZED and seconds > args.longest
    }
    for precision, seconds in slow.items():
        told = f"a run in {precision} takes more than {seconds:.1f} s (--longest {args.longest:g})"
        print(f"left out: {case.title}, {told}", flush=True)
    found = [way for way in found if not slow.keys() & {"fp32", way.precision}]
    late = [way for way in found if operations > MANY and not args.engines and way.engine.name in COMPILED]
    if late:
        print(f"left out: {case.title}, {' and '.join(COMPILED)} of {operations} operations (--engines)", flush=True)
    yield from (way for way in found if way not in late)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what is asked for, print it on the way, and give it as plain data."""
    torch.set_num_threads(args.threads)
    cases = asked(args)
    if args.device == "cuda":
        cuda.prepare(tf32=args.tf32)
    about = environment.describe(threads=args.threads, device=args.device)
    about["freed_memory_kept"] = environment.keep_memory()
    print(environment.headline(about), flush=True)
    device = described(args)
    if device:
        peaks = ", ".join(f"{flops / 1e9:,.0f} GFLOP/s in {precision}" for precision, flops in device.flops.items())
        print(f"bounds are those of {device.name}: {peaks}, {device.bandwidth / 1e9:,.1f} GB/s", flush=True)
    found, absent = chosen_ways(args)
    for label, reason in absent.items():
        print(f"left out: {label}, {reason}")
    if not found:
        raise SystemExit("latency.py: no engine is left; leave out --engines or --precisions")
    measurements: list[Measurement] = []
    result: dict[str, Any] = {}
    for case in cases:
        if rows := list(measure(case, found, device, args)):
            header, rule, *lines = markdown([one.to_json() for one in rows]).splitlines()
            print("\n".join(lines if measurements else ["", header, rule, *lines]), flush=True)
            measurements += rows
            result = {
                "schema": SCHEMA,
                "env": environment.flat(about, load_after=environment.load(), tf32=args.tf32),
                "device": device and {"name": device.name, "flops": dict(device.flops), "bandwidth": device.bandwidth},
                "missing": absent,
                "cases": [one.to_json() for one in measurements],
            }
            validated(result)
            if args.json:
                write(result, args.json)
    if not measurements:
        raise SystemExit("latency.py: nothing was measured")
    print(f"\nload before {about['load']}, after {result['env']['loadavg']['after']}")
    if args.device == "cuda":
        print(f"\n{verdicts(measurements)}")
    return result


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description="Measure the latency of networks in every engine.")
    found.add_argument("--quick", action="store_true", help="three cases, less than three minutes")
    found.add_argument("--networks", nargs="+", metavar="NAME", help=f"such as rcan-x4 (default: {' '.join(NETWORKS)})")
    found.add_argument("--shapes", nargs="+", metavar="NxHxW", help=f"of the input (default: {' '.join(SHAPES)})")
    found.add_argument("--engines", nargs="+", choices=ENGINES, metavar="NAME", help=f"of {', '.join(ENGINES)}")
    found.add_argument("--precisions", nargs="+", choices=("fp32", "fp16", "bf16"))
    found.add_argument("--plain", action="store_true", help="the plain network in every engine too")
    found.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    found.add_argument("--tf32", action="store_true", help="let float32 convolutions on CUDA round to TF32")
    found.add_argument("--threads", type=positive, default=1, help="threads of every engine on the CPU (1)")
    found.add_argument("--rounds", type=positive, help="the least number of rounds (11; 5 of what is slow; 50 on CUDA)")
    found.add_argument("--longest", type=float, default=2.0, help="seconds that a run on the CPU may take (2)")
    found.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE, in benchmarks/results")
    found.add_argument("--chart", type=Path, metavar="FILE", help="draw it to FILE, a PNG in benchmarks/results")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 when an output is wrong."""
    args = parser().parse_args(arguments)
    if args.chart and importlib.util.find_spec("matplotlib") is None:
        raise SystemExit('latency.py: --chart needs matplotlib; pip install "srblocks[bench]"')
    result = run(args)
    if args.json:
        print(f"written to {args.json.name}")
    if args.chart:
        print(f"drawn to {chart(result, resolved(args.chart)).name}")
    wrong = [case for case in result["cases"] if not case["parity_ok"]]
    for case in wrong:
        print(
            f"wrong output: {case['net']} x{case['scale']} {case['variant']} in {case['backend']} {case['precision']}"
        )
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())

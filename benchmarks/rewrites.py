"""What `srblocks.optimize` gains: time in every engine, peak memory of activations, and the goals.

    python benchmarks/rewrites.py [--quick] [--goals] [--each] [--json FILE]
    python benchmarks/rewrites.py --device cuda

Plain and optimized networks run in one process, in turn, after their outputs were found to agree; what takes less than
a quarter of a second runs twice in its turn, and the second run counts; freed memory stays the process's. A ratio is
the median over the rounds of plain / optimized; a row is noisy when a median is above 1.15 times its minimum, or the
load average above the number of cores. Weights are random, scaled so that features neither fade nor grow. PSNR, in
decibels, is that of plain / optimized against the plain network in float32, where the engine rounds below that. The
memory of activations is counted, not measured: float32, 256x256 pixels, input included, weights not.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from harness import environment
from harness.arguments import positive
from harness.cases import CASES, CUDA_CASES, LAYOUT, MEMORY, MEMORY_SIDE, Case, MemoryCase
from harness.comparison import Measured, Row, compare, details, markdown
from harness.cuda import prepare
from harness.engines import Way
from harness.files import write
from srblocks import create_network, optimize
from srblocks._utils.memory import peak_bytes
from srblocks.network import Network

SCHEMA = "srblocks.rewrites/1"
PLAIN, OPTIMIZED = "plain", "optimized"
Compare = Callable[..., dict[tuple[str, str], Measured]]


@dataclass(frozen=True)
class MemoryRow:
    """Peak bytes of activations of a plain and an optimized network."""

    case: MemoryCase
    plain: int
    optimized: int

    @property
    def ratio(self) -> float:
        """How many times less."""
        return self.plain / self.optimized

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        return None if self.case.goal is None else self.ratio >= self.case.goal

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "network": self.case.network,
            "scale": self.case.scale,
            "side": MEMORY_SIDE,
            "plain_bytes": self.plain,
            "optimized_bytes": self.optimized,
            "ratio": round(self.ratio, 4),
            "goal": self.case.goal,
            "met": self.met,
        }


def memory_row(case: MemoryCase) -> MemoryRow:
    """Count the activations of one network with and without the rewrites."""
    net = create_network(case.network, scale=case.scale).eval()
    shape = (1, net.image_channels, MEMORY_SIDE, MEMORY_SIDE)
    return MemoryRow(case, peak_bytes(net, shape), peak_bytes(optimize(net), shape))


def memory_markdown(rows: Iterable[MemoryRow]) -> str:
    """The rows as a table."""
    lines = [
        "| network | scale | plain MiB | optimized MiB | ratio | goal | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        sizes = " | ".join(f"{size / 2**20:.1f}" for size in (row.plain, row.optimized))
        goal = f"{row.case.goal:.1f}" if row.case.goal else ""
        verdict = {None: "", True: "met", False: "missed"}[row.met]
        lines.append(f"| {row.case.network} | x{row.case.scale} | {sizes} | {row.ratio:.2f} | {goal} | {verdict} |")
    return "\n".join(lines)


def variants(net: Network, *, each: bool) -> dict[str, Network]:
    """The plain network, the optimized one, and with `each` one without each rewrite that did something."""
    optimized = optimize(net)
    found = {PLAIN: net, OPTIMIZED: optimized}
    if each and optimized.rewrites:
        names = dict.fromkeys(decision.rewrite for decision in optimized.rewrites.applied)
        found |= {name: optimize(net, without=[name]) for name in names}
    return found


def rows_of(case: Case, compare: Compare, engines: Iterable[str], *, each: bool) -> list[Row]:
    """Measure one case in those of its engines that are named."""
    net = case.build()
    named = [engine for engine in case.engines if engine in engines]
    layout = ("eager fp32", "channels_last fp32") if LAYOUT in named else ()
    nets = variants(net, each=each)
    if each and len(nets) == 2:
        return []
    before = environment.load()
    lr = torch.rand(1, net.image_channels, case.height, case.width)
    found = compare(nets, lr, list(dict.fromkeys([*(name for name in named if name != LAYOUT), *layout])))
    load = max(before, environment.load())
    slow = [variant for variant in nets if variant != OPTIMIZED and (variant != PLAIN or not each)]
    rows = []
    for engine in named:
        plain_in, optimized_in = layout if engine == LAYOUT else (engine, engine)
        for variant in slow:
            if (plain_in, variant) not in found:
                continue
            rows.append(
                Row(
                    case.title,
                    case.scale,
                    case.size,
                    engine,
                    found[plain_in, variant],
                    found[optimized_in, OPTIMIZED],
                    goal=None if each else case.goals.get(engine),
                    load=load,
                    cores=environment.cores(),
                    rewrite=variant if each else None,
                )
            )
    return rows


def chosen(cases: Iterable[Case], args: argparse.Namespace) -> list[Case]:
    """The cases that the command line asks for."""
    return [
        case
        for case in cases
        if (not args.cases or case.name.startswith(tuple(args.cases)))
        and (case.quick or not args.quick)
        and (case.goals or not args.goals)
    ]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description="Measure what srblocks.optimize gains.")
    found.add_argument("--quick", action="store_true", help="a few cases, less than two minutes")
    found.add_argument("--goals", action="store_true", help="only what has a goal; exit code 1 when one is missed")
    found.add_argument("--each", action="store_true", help="each rewrite by itself: without it against with all")
    found.add_argument("--cases", nargs="+", metavar="NAME", help="cases whose names begin so, as edsr_baseline-x4-64")
    found.add_argument("--engines", nargs="+", metavar="NAME", help="only these engines")
    found.add_argument("--rounds", type=positive, help="least number of rounds (11; 50 on CUDA)")
    found.add_argument("--threads", type=positive, default=1, help="threads of every engine on the CPU (1)")
    found.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    found.add_argument("--tf32", action="store_true", help="let float32 convolutions on CUDA round to TF32")
    found.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE, in benchmarks/results")
    return found


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what is asked for, print it on the way, and give it as plain data."""
    torch.set_num_threads(args.threads)
    cuda = args.device == "cuda"
    cases = chosen(CUDA_CASES if cuda else CASES, args)
    if not cases:
        raise SystemExit("rewrites.py: no case is left; benchmarks/harness/cases.py has their names")
    if cuda:
        prepare(tf32=args.tf32)
    about = environment.describe(threads=args.threads, device=args.device)
    about["freed_memory_kept"] = environment.keep_memory()
    print(environment.headline(about) + (f", TF32 {'on' if args.tf32 else 'off'}" if cuda else ""), flush=True)
    every = {engine for case in cases for engine in case.engines if engine != LAYOUT}
    absent = {engine: reason for engine in sorted(every) if (reason := Way.named(engine).missing(args.device))}
    for engine, reason in absent.items():
        print(f"left out: {engine}, {reason}")
    engines = {engine for case in cases for engine in case.engines if engine not in absent}
    if args.engines:
        engines &= set(args.engines)
    if not engines:
        named = ", ".join(sorted(every - absent.keys()))
        raise SystemExit(f"rewrites.py: no engine is left; --engines takes some of {named}")

    comparer = partial(compare, device=args.device, threads=args.threads, rounds=args.rounds, tf32=args.tf32)
    rows: list[Row] = []
    for case in cases:
        if found := rows_of(case, comparer, engines, each=args.each):
            header, rule, *lines = markdown(found).splitlines()
            print("\n".join(lines if rows else ["", header, rule, *lines]), flush=True)
            rows += found
    if cuda and not args.each:
        print(f"\n{details(rows)}")
    memory = [] if args.each or cuda else memory_rows(args)
    if memory:
        print(f"\n{memory_markdown(memory)}")
    after = environment.load()
    print(f"\nload before {about['load']}, after {after}")
    return {
        "schema": SCHEMA,
        "environment": about | {"tf32": args.tf32 if cuda else None},
        "load": {"before": about["load"], "after": after},
        "missing_engines": absent,
        "rows": [row.to_json() for row in rows],
        "memory": [row.to_json() for row in memory],
    }


def memory_rows(args: argparse.Namespace) -> list[MemoryRow]:
    """Count the memory of the networks that the command line asks for."""
    return [
        memory_row(case)
        for case in MEMORY
        if (not args.cases or any(name.startswith(case.network) for name in args.cases))
        and (case.goal or not (args.goals or args.quick))
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 when a goal is missed and `--goals` asks."""
    args = parser().parse_args(arguments)
    result = run(args)
    if args.json:
        print(f"written to {write(result, args.json).name}")
    missed = [row for row in (*result["rows"], *result["memory"]) if row["met"] is False]
    for row in missed:
        print(f"missed: {row['network']} x{row['scale']} {row.get('size', '')} {row.get('engine', 'memory')}")
    return int(bool(missed) and args.goals)


if __name__ == "__main__":
    raise SystemExit(main())

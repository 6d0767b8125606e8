"""Speedup and memory reduction from `srblocks.optimize`, in every backend.

    python benchmarks/rewrites.py [--quick] [--goals] [--each] [--json rewrites-cpu.json]
    python benchmarks/rewrites.py --device cuda

The original and the optimized network run in one process in interleaved rounds, after their outputs have been compared.
A speedup is the median over the rounds of original / optimized; * marks noisy results. `--each` measures every rewrite
separately: the optimized network against one without that rewrite. Weights are random. The activation memory is
counted, not measured: float32, 256x256 pixels, including the input, without weights.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch

import cuda_timing
from backends import Configuration
from cases import CASES, CUDA_CASES, LAYOUT, MEMORY, MEMORY_SIDE, Case, selected
from formatting import table
from measure import EAGER, OPTIMIZED, ORIGINAL, Row, by_case, label_of, measure, ratio_of
from options import parser
from record import Record
from srblocks import create_network, optimize
from srblocks._utils.memory import peak_bytes
from srblocks.network import Network


def implementations(net: Network, *, each: bool) -> dict[str, Network]:
    """Return the original and the optimized network, with `each` also one without each applied rewrite."""
    optimized = optimize(net)
    found = {ORIGINAL: net, OPTIMIZED: optimized}
    if each and optimized.rewrites:
        names = dict.fromkeys(decision.rewrite for decision in optimized.rewrites.applied)
        found |= {f"without {name}": optimize(net, without=[name]) for name in names}
    return found


def speedups(rows: Sequence[Row]) -> Iterator[tuple[str, str, str, float, bool]]:
    """Yield case, implementation, backend label, speedup of the optimized network, and whether it is noisy."""
    for (network, size), found in by_case(rows).items():
        fast = {label_of(row): row for row in found if row["implementation"] == OPTIMIZED}
        for row in found:
            label, name = label_of(row), row["implementation"]
            if name == OPTIMIZED:
                continue
            targets = {label: label} | ({LAYOUT: "channels_last fp32"} if label == EAGER and name == ORIGINAL else {})
            for title, target in targets.items():
                if target in fast:
                    noisy = row["noisy"] or fast[target]["noisy"]
                    yield f"{network}, {size}", name, title, ratio_of(row, fast[target]), noisy


def markdown(record: Record) -> str:
    """Return one table row per case: the speedup in every backend and the reduction of activation memory."""
    found = list(speedups(record.rows))
    labels = list(dict.fromkeys(label for _, _, label, _, _ in found))
    labels.sort(key=lambda label: (label == LAYOUT, label != EAGER))
    memory = {f"{row['network']} x{row['scale']}": f"{row['ratio']:.2f}" for row in record.parameters["memory"]}
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for case, name, label, ratio, noisy in found:
        cells.setdefault((case, name), {})[label] = f"{ratio:.2f}{'*' * noisy}"
    each = any(name != ORIGINAL for _, name in cells)
    head = ["network, input", *(["compared with"] if each else []), *labels, *([] if each else ["memory"])]
    return table(
        head,
        [
            [
                case,
                *([name] if each else []),
                *(values.get(label) for label in labels),
                *([] if each else [memory.get(case.partition(",")[0])]),
            ]
            for (case, name), values in cells.items()
        ],
    )


def memory_rows(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Count the peak activation memory of the networks of these cases and of those in `MEMORY` only."""
    rows = []
    timed = {case.network for case in CASES}
    for network, scale, goal in MEMORY:
        if network in timed and network not in {case.network for case in cases}:
            continue
        net = create_network(network, scale=scale).eval()
        shape = (1, net.image_channels, MEMORY_SIDE, MEMORY_SIDE)
        original, optimized = peak_bytes(net, shape), peak_bytes(optimize(net), shape)
        ratio = round(original / optimized, 4)
        row = {"network": network, "scale": scale, "original_bytes": original, "optimized_bytes": optimized}
        rows.append(row | {"ratio": ratio, "goal": goal})
    return rows


def missed_goals(record: Record, cases: Sequence[Case]) -> list[str]:
    """Return descriptions of the missed goals of the cases."""
    found = {(case, label): ratio for case, name, label, ratio, _ in speedups(record.rows) if name == ORIGINAL}
    missed = []
    for case in cases:
        for label, goal in case.goals.items():
            ratio = found.get((f"{case.title} x{case.scale}, 1x{case.size}", label))
            if ratio is not None and ratio < goal:
                missed.append(f"{case.name} in {label}: {ratio:.2f}, goal {goal}")
    return missed + [
        f"{row['network']}-x{row['scale']} memory: {row['ratio']:.2f}, goal {row['goal']}"
        for row in record.parameters["memory"]
        if row["goal"] and row["ratio"] < row["goal"]
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if an output is wrong, or with ``--goals`` if a goal is missed."""
    command = parser("Measure the speedup from srblocks.optimize.", "quick", "cases", "timing", "device", "goals")
    command.add_argument("--each", action="store_true", help="measure each rewrite separately")
    command.add_argument("--backends", nargs="+", metavar="NAME", help="only these, such as 'OpenVINO fp32'")
    args = command.parse_args(arguments)
    torch.set_num_threads(args.threads)
    cases = selected(CUDA_CASES if args.device == "cuda" else CASES, args.cases, quick=args.quick)
    if args.device == "cuda":
        cuda_timing.prepare(tf32=args.tf32)
    record = Record.start("rewrites", threads=args.threads, device=args.device, tf32=args.tf32)
    for case in cases:
        labels = [label for label in case.backends if not args.backends or label in args.backends]
        if LAYOUT in labels:
            labels += [EAGER, "channels_last fp32"]
        labels = [label for label in dict.fromkeys(labels) if label != LAYOUT]
        missing = {label: reason for label in labels if (reason := Configuration.parse(label).missing(args.device))}
        record.skipped |= missing
        net = case.build()
        nets = implementations(net, each=args.each)
        lr = torch.rand(1, net.image_channels, case.height, case.width)
        candidates = [(name, label) for label in labels if label not in missing for name in nets]
        rows, skipped = measure(
            nets,
            lr,
            candidates,
            about={"network": case.title, "scale": case.scale},
            device=args.device,
            threads=args.threads,
            rounds=args.rounds,
            tf32=args.tf32,
        )
        record.rows += rows
        record.skipped |= {f"{case.name}, {key}": reason for key, reason in skipped.items()}
        for found, name, label, ratio, noisy in speedups(rows):
            print(f"{found}, {name} in {label}: {ratio:.2f}x{'*' * noisy}", flush=True)
    record.parameters["memory"] = [] if args.each or args.device == "cuda" else memory_rows(cases)
    print(f"\n{markdown(record)}\n")
    record.print_skipped()
    if args.json:
        print(f"written to {record.write(args.json)}")
    missed = missed_goals(record, cases) if args.goals else []
    for one in missed:
        print(f"missed: {one}", file=sys.stderr)
    return int(bool(missed) or record.has_wrong_outputs)


if __name__ == "__main__":
    raise SystemExit(main())

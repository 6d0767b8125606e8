"""Comparison with the implementations of torchsr and spandrel: the same networks with the same weights.

    python benchmarks/peers.py [--quick] [--goals] [--json peers-cpu.json]     about 20 minutes, --quick 1 minute
    python benchmarks/peers.py --cases rcan edsr_baseline-x4-64 --backends eager OpenVINO --rounds 5

Peers are built by their libraries and run unmodified, in PyTorch and exported by torch's own exporters. srblocks loads
their weights with `load_checkpoint` and runs optimized. Outputs are compared before anything is timed, and all
candidates run in one process in interleaved rounds. Each side of a comparison is represented by its fastest candidate;
the ratio is the median over the rounds of peer / srblocks, with the 95 % confidence interval of that median. Networks
that neither library has are compared with the original network of srblocks.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from backends import BACKENDS, Configuration, Workload
from cases import Case, selected
from formatting import table
from libraries import CASES, COMPILE, LIBRARIES, NOTES, PeerWorkload, peers_of, same_weights
from measure import EAGER, Row, by_case, label_of, measure
from options import parser
from parity import random_network
from record import Record
from srblocks import optimize
from timing import median_interval, paired_ratio

OURS = "srblocks"
OURS_ORIGINAL = "srblocks (original)"
EVEN = 1.0
"""A goal that is also met if the confidence interval of the ratio contains it."""
_PYTORCH = ("eager", "channels_last", "compile", "TorchScript")


@dataclass(frozen=True)
class Comparison:
    """The rows of each side that compete; the fastest one represents its side.

    Attributes:
        name: name in tables.
        precision: precision of both sides.
        peer_backends: backends of the peers; None for all.
        our_backends: backends of srblocks; None for all.
    """

    name: str
    precision: str
    peer_backends: tuple[str, ...] | None = None
    our_backends: tuple[str, ...] | None = None


COMPARISONS = (
    Comparison("fp32", "fp32"),
    Comparison("bf16", "bf16"),
    Comparison("fp32 against eager", "fp32", peer_backends=("eager",)),
    Comparison("fp32 against eager, in PyTorch", "fp32", peer_backends=("eager",), our_backends=_PYTORCH),
)


@dataclass(frozen=True)
class Result:
    """Outcome of a comparison for one case.

    Attributes:
        case: network, scale and input size.
        comparison: its name.
        peer: fastest row of the peers.
        ours: fastest row of srblocks.
    """

    case: str
    comparison: str
    peer: Row
    ours: Row

    @property
    def ratio(self) -> float:
        """Speedup of srblocks over the peer, paired by round."""
        return paired_ratio(self.peer["rounds"], self.ours["rounds"])

    @property
    def interval(self) -> tuple[float, float]:
        """Confidence interval of the ratio."""
        return median_interval(one / other for one, other in zip(self.peer["rounds"], self.ours["rounds"], strict=True))

    @property
    def noisy(self) -> bool:
        """True if one of the rows is noisy."""
        return self.peer["noisy"] or self.ours["noisy"]

    def meets(self, goal: float) -> bool:
        """Return whether the ratio reaches a goal."""
        return self.ratio >= goal or (goal == EVEN and self.interval[1] >= EVEN)


def compare(rows: Sequence[Row]) -> Iterator[Result]:
    """Yield the results of all comparisons with rows on both sides."""
    for (network, size), found in by_case(rows).items():
        theirs = [row for row in found if row["implementation"] not in (OURS, OURS_ORIGINAL)]
        theirs = theirs or [row for row in found if row["implementation"] == OURS_ORIGINAL]
        ours = [row for row in found if row["implementation"] == OURS]
        for one in COMPARISONS:
            sides = [
                min(
                    (row for row in side if row["precision"] == one.precision and _runs_in(row, backends)),
                    key=lambda row: row["ms"]["median"],
                    default=None,
                )
                for side, backends in ((theirs, one.peer_backends), (ours, one.our_backends))
            ]
            if sides[0] and sides[1]:
                yield Result(f"{network}, {size}", one.name, sides[0], sides[1])


def _runs_in(row: Row, backends: Sequence[str] | None) -> bool:
    return backends is None or row["backend"] in backends


def summary(rows: Sequence[Row]) -> str:
    """Return one table row per case with the ratio of every comparison."""
    cells: dict[str, dict[str, str]] = {}
    for result in compare(rows):
        cells.setdefault(result.case, {})[result.comparison] = f"{result.ratio:.2f}{'*' * result.noisy}"
    names = [one.name for one in COMPARISONS]
    return table(["network, input", *names], ([case, *map(found.get, names)] for case, found in cells.items()))


def details(rows: Sequence[Row]) -> str:
    """Return every comparison with both sides and the confidence interval."""
    lines = []
    for one in compare(rows):
        low, high = one.interval
        peer = f"{one.peer['implementation']} in {one.peer['backend']}, {one.peer['ms']['median']:.2f} ms"
        ours = f"{one.ours['backend']}, {one.ours['ms']['median']:.2f} ms"
        ratio = f"{one.ratio:.2f} ({low:.2f}-{high:.2f}){'*' * one.noisy}"
        lines.append([one.case, one.comparison, peer, ours, ratio])
    return table(["network, input", "comparison", "fastest peer", "fastest srblocks", "ratio"], lines)


def missed_goals(rows: Sequence[Row], cases: Sequence[Case]) -> list[str]:
    """Return descriptions of the missed goals of the cases."""
    goals = {
        (f"{case.title} x{case.scale}, 1x{case.size}", name): goal
        for case in cases
        for name, goal in case.goals.items()
    }
    return [
        f"{one.case}, {one.comparison}: {one.ratio:.2f}, goal {goals[one.case, one.comparison]}"
        for one in compare(rows)
        if (one.case, one.comparison) in goals and not one.meets(goals[one.case, one.comparison])
    ]


def measure_case(case: Case, labels: Sequence[str], **options: Any) -> tuple[list[Row], dict[str, str]]:
    """Measure all implementations of one case."""
    installed = [peer for peer in peers_of(case.network) if not peer.missing]
    if installed:
        nets, net = same_weights(installed, case.scale, **case.config)
    else:
        nets, net = {}, random_network(case.network, case.scale, **case.config)
    peers = list(nets) or [OURS_ORIGINAL]
    implementations = {**nets, OURS_ORIGINAL: net, OURS: optimize(net)}
    classes: Mapping[str, type[Workload]] = {
        name: PeerWorkload if name in nets else Workload for name in implementations
    }
    candidates = [(name, label) for label in labels for name in (*peers, OURS)] + [(OURS_ORIGINAL, EAGER)]
    lr = torch.rand(1, net.image_channels, case.height, case.width)
    about = {"network": case.title, "scale": case.scale}
    return measure(implementations, lr, candidates, about=about, classes=classes, **options)


def notes_of(cases: Sequence[Case]) -> list[str]:
    """Return the notes on the networks and peers of the cases."""
    networks = dict.fromkeys(case.network for case in cases)
    alone = [network for network in networks if not peers_of(network)]
    notes = []
    if alone:
        notes.append(f"{' and '.join(LIBRARIES)} do not have {' and '.join(alone)}; the peer is {OURS_ORIGINAL}")
    notes += [peer.note for network in networks for peer in peers_of(network) if peer.note]
    return notes + [f"{network}: {NOTES[network]}" for network in networks if network in NOTES]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if an output is wrong, or with ``--goals`` if a goal is missed."""
    command = parser("Compare srblocks with other libraries.", "quick", "cases", "timing", "goals")
    command.add_argument("--backends", nargs="+", choices=BACKENDS, metavar="NAME", help="only these, besides eager")
    args = command.parse_args(arguments)
    torch.set_num_threads(args.threads)
    cases = selected(CASES, args.cases, quick=args.quick)
    record = Record.start("peers", threads=args.threads)
    record.notes = notes_of(cases)
    for case in cases:
        missing = {peer.library: peer.missing for peer in peers_of(case.network) if peer.missing}
        record.skipped |= missing
        if missing and len(missing) == len(peers_of(case.network)):
            record.skipped[case.name] = f"requires {' or '.join(missing)}"
            continue
        labels = [
            label
            for label in case.backends
            if not args.backends or Configuration.parse(label).backend.name in (*args.backends, "eager")
        ]
        if args.quick:
            labels = [label for label in labels if Configuration.parse(label).backend.name != COMPILE]
        absent = {label: reason for label in labels if (reason := Configuration.parse(label).missing("cpu"))}
        record.skipped |= absent
        labels = [label for label in labels if label not in absent]
        rows, skipped = measure_case(case, labels, threads=args.threads, rounds=args.rounds)
        record.rows += rows
        record.skipped |= {f"{case.name}, {key}": reason for key, reason in skipped.items()}
        for row in rows:
            name = f"{case.name}, {row['implementation']} in {label_of(row)}"
            print(f"{name}: {row['ms']['median']:.2f} ms{'*' * row['noisy']}", flush=True)
    record.print_skipped()
    if not record.rows:
        raise SystemExit("peers.py: nothing was measured")
    print(f"\n{summary(record.rows)}\n\nSpeedup of srblocks over the fastest peer; * noisy.")
    if args.json:
        print(f"written to {record.write(args.json)}")
    missed = missed_goals(record.rows, cases) if args.goals else []
    for one in missed:
        print(f"missed: {one}", file=sys.stderr)
    return int(bool(missed) or record.has_wrong_outputs)


if __name__ == "__main__":
    raise SystemExit(main())

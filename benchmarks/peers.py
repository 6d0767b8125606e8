"""srblocks beside the implementations of other libraries, plain and exported: the same weights, one run.

    python benchmarks/peers.py [--quick] [--goals] [--strict] [--json FILE]      about 20 minutes, --quick 1
    python benchmarks/peers.py --cases rcan edsr_baseline-x4-64 --engines eager OpenVINO --rounds 5

Peers are built by their libraries and run as they are, in PyTorch and in files of torch's own exporters; srblocks reads
their weights with `load_checkpoint` and runs optimized. All outputs are compared before anything is timed, and one that
differs stops the run. Candidates run in one process, in turn; what takes less than a quarter of a second runs twice in
its turn, and the second run counts. Each side of a contest is its quickest candidate by the median of this run; the
ratio is the median over the rounds of peer / srblocks, with the interval in which that median lies with 95 %
confidence. A goal of 1.00, parity, is "even" where the ratio is below it but the interval reaches it; no other goal has
a tolerance. Verdicts are noisy when a median is above 1.15 times its minimum, or the load average, in which this
process counts, above the number of cores.
"""

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness import environment
from harness.arguments import positive
from harness.candidates import Ready, ready_all, subjects_of, timed
from harness.cases import Case
from harness.comparison import reference_output
from harness.engines import ENGINES, Engine, Subject, Way
from harness.files import write
from harness.parity import Parity, drawn, parity
from harness.peers import CASES, COMPILE, EAGER, LIBRARIES, NO_AMX, REMARKS, Peer, PortSubject, peers_of, same_weights
from harness.standings import OURS, PLAIN, Candidate, best, candidates_markdown, verdicts, verdicts_markdown
from srblocks import optimize
from srblocks.network import Network

Key = tuple[str, str]
"""Implementation, and engine with precision."""
Tables = dict[str, list[dict[str, Any]]]

SCHEMA = "srblocks.peers/1"


@dataclass(frozen=True)
class Lineup:
    """The implementations of one case, all with the same weights.

    Attributes:
        peers: names of those that ours is compared with; the first one is the reference.
        nets: implementation -> network.
        kinds: implementation -> how it is exported.
    """

    peers: tuple[str, ...]
    nets: Mapping[str, Network]
    kinds: Mapping[str, type[Subject]]

    @classmethod
    def of(cls, case: Case, installed: Sequence[Peer]) -> "Lineup":
        """Build all; where no library has the network, ours stands, not optimized, for what plain ports do."""
        if installed:
            ports, net = same_weights(installed, case.scale, **case.config)
        else:
            ports, net = {}, drawn(case.network, case.scale, **case.config)
        nets = {**ports, PLAIN: net, OURS: optimize(net)}
        return cls(tuple(ports) or (PLAIN,), nets, {name: PortSubject if name in ports else Subject for name in nets})

    def entries(self, ways: Sequence[Way], subjects: Mapping[str, Subject]) -> dict[Key, tuple[Engine, Subject]]:
        """Peers and ours in every way, side by side; beside peers ours without the rewrites in eager float32 alone."""
        return {
            (name, way.label): (way.engine, subject.at(way.precision))
            for way in ways
            for name, subject in subjects.items()
            if way.label == EAGER or name in (*self.peers, OURS)
        }


def checked(ready: Mapping[Key, Ready], reference: Tensor) -> dict[Key, Parity]:
    """Compare all outputs, and stop where one is wrong."""
    found = {key: parity(one.output, reference, Way.named(key[1]).precision) for key, one in ready.items()}
    wrong = [f"{name} in {label}: {one}" for (name, label), one in found.items() if not one.ok]
    if wrong:
        raise SystemExit(f"peers.py: another output than the first peer's in eager fp32, {', '.join(wrong)}")
    return found


def measure(case: Case, installed: Sequence[Peer], labels: Collection[str], args: argparse.Namespace) -> Tables:
    """Measure one case: its rows, its verdicts, and what failed."""
    before = environment.load()
    lineup = Lineup.of(case, installed)
    first = lineup.peers[0]
    lr = torch.rand(1, lineup.nets[OURS].image_channels, case.height, case.width)
    ways = [Way.named(label) for label in dict.fromkeys([EAGER, *(each for each in case.engines if each in labels)])]
    with subjects_of(lineup.nets, lr, lineup.kinds, threads=args.threads) as subjects:
        ready, failed = ready_all(lineup.entries(ways, subjects))
        if (first, EAGER) in failed:
            raise SystemExit(f"peers.py: {case.name}, {first} does not run: {failed[first, EAGER]}")
        outputs = checked(ready, reference_output(lineup.nets[first], lr, "cpu"))
        times = timed(ready, device="cpu", rounds=args.rounds)
    load = max(before, environment.load())
    candidates = [
        Candidate(name, way.engine.name, way.precision, times[key].timing, outputs[key], one.costs.build_seconds)
        for key, one in ready.items()
        for name, way in [(key[0], Way.named(key[1]))]
    ]
    eager = best((one for one in candidates if one.implementation in lineup.peers), "fp32", ["eager"])
    found = verdicts(candidates, lineup.peers, case.goals, load=load, cores=environment.cores())
    about = {"network": case.title, "scale": case.scale, "size": case.size, "load": load}
    return {
        "rows": [about | one.to_json(eager.timing) for one in candidates],
        "verdicts": [about | one.to_json() for one in found],
        "failed": [about | {"implementation": key[0], "engine": key[1], "reason": why} for key, why in failed.items()],
    }


def markdown(result: Mapping[str, Any]) -> tuple[str, str]:
    """A result as the table of all candidates and that of the verdicts, what to know of them below it."""
    notes = "\n".join(f"- {note}" for note in result["notes"])
    return candidates_markdown(result["rows"]), f"{verdicts_markdown(result['verdicts'])}\n\n{notes}".rstrip()


def notes_of(cases: Sequence[Case]) -> list[str]:
    """What to know of the networks and peers of the cases."""
    networks = dict.fromkeys(case.network for case in cases)
    alone = [network for network in networks if not peers_of(network)]
    found = [f"{' and '.join(LIBRARIES)} have no {' and no '.join(alone)}: the peer is {PLAIN}"] if alone else []
    found += [peer.remark for network in networks for peer in peers_of(network) if peer.remark]
    return found + [f"{network}: {REMARKS[network]}" for network in networks if network in REMARKS]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description="Measure srblocks beside other libraries.")
    found.add_argument("--quick", action="store_true", help="two cases, no torch.compile, less than two minutes")
    found.add_argument("--goals", action="store_true", help="exit code 1 when a goal is missed")
    found.add_argument(
        "--strict", action="store_true", help="exit code 1 where the load is high, or a verdict is noisy"
    )
    found.add_argument("--cases", nargs="+", metavar="NAME", help="cases whose names begin so, as edsr_baseline-x4-64")
    found.add_argument("--engines", nargs="+", choices=ENGINES, metavar="NAME", help="only these engines, and eager")
    found.add_argument("--rounds", type=positive, help="the least number of rounds (11)")
    found.add_argument("--threads", type=positive, default=1, help="threads of every engine (1)")
    found.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE, in benchmarks/results")
    return found


def chosen(args: argparse.Namespace) -> tuple[list[Case], dict[str, str]]:
    """The cases that the command line asks for, and which libraries they lack.

    Raises:
        SystemExit: there is none, or none whose peers are installed.
    """
    cases = [
        case
        for case in CASES
        if (not args.cases or case.name.startswith(tuple(args.cases))) and (case.quick or not args.quick)
    ]
    absent = {peer.library: peer.missing for case in cases for peer in peers_of(case.network) if peer.missing}
    for reason in absent.values():
        print(f"left out: {reason}")
    kept = []
    for case in cases:
        libraries = [peer.library for peer in peers_of(case.network)]
        if libraries and absent.keys() >= set(libraries):
            print(f"left out: {case.name}, whose peers are in {' and '.join(libraries)}")
        else:
            kept.append(case)
    if not kept:
        raise SystemExit(f"peers.py: no case is left; there are {', '.join(case.name for case in CASES)}")
    return kept, absent


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what is asked for, print it on the way, and give it as plain data.

    Raises:
        SystemExit: the load is high, and `--strict` asks.
    """
    torch.set_num_threads(args.threads)
    about = environment.describe(threads=args.threads)
    about["freed_memory_kept"] = environment.keep_memory()
    print(environment.headline(about), flush=True)
    if about["load"] > environment.cores():
        busy = f"the load average is {about['load']} on {environment.cores()} cores"
        if args.strict:
            raise SystemExit(f"peers.py: {busy}; wait until it is lower, or leave out --strict")
        print(f"{busy}: verdicts will be noisy")
    cases, libraries = chosen(args)
    every = dict.fromkeys(label for case in cases for label in case.engines)
    engines = {label: reason for label in every if (reason := Way.named(label).missing("cpu"))}
    for label, reason in engines.items():
        print(f"left out: {label}, {reason}")
    labels = [
        label
        for label, engine in ((label, Way.named(label).engine.name) for label in every if label not in engines)
        if (not args.engines or engine in args.engines) and not (args.quick and engine == COMPILE)
    ]
    tables: Tables = {"rows": [], "verdicts": [], "failed": []}
    for case in cases:
        found = measure(case, [peer for peer in peers_of(case.network) if not peer.missing], labels, args)
        for row in found["failed"]:
            print(f"left out: {case.name}, {row['implementation']} in {row['engine']}, {row['reason']}")
        header, rule, *lines = candidates_markdown(found["rows"]).splitlines()
        print("\n".join(lines if tables["rows"] else ["", header, rule, *lines]), flush=True)
        for name, rows in found.items():
            tables[name] += rows
    after = environment.load()
    slower = any(row["contest"] == "bf16" and row["outcome"] == "missed" for row in tables["verdicts"])
    no_amx = slower and "amx_bf16" not in about["cpu"]["flags"]
    result = {
        "schema": SCHEMA,
        "environment": about,
        "load": {"before": about["load"], "after": after},
        "missing_libraries": libraries,
        "missing_engines": engines,
        "notes": notes_of(cases) + [NO_AMX] * no_amx,
        **tables,
    }
    print(f"\n{markdown(result)[1]}\n\nload before {about['load']}, after {after}")
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 when a goal is missed and `--goals` asks, or a verdict is noisy and `--strict` asks."""
    args = parser().parse_args(arguments)
    result = run(args)
    if args.json:
        print(f"written to {write(result, args.json).name}")
    missed = [row for row in result["verdicts"] if row["outcome"] == "missed"]
    for row in missed:
        print(f"missed: {row['network']} x{row['scale']} {row['size']} {row['contest']}")
    noisy = any(row["noise"] for row in result["verdicts"])
    return int(bool(args.goals and missed) or bool(args.strict and noisy))


if __name__ == "__main__":
    raise SystemExit(main())

"""Gate of the continuous integration: the figures of now against those that are committed.

    python benchmarks/check.py [NETWORK ...] [--times [--strict]] [--format gha [--output FILE]] [--json FILE]
    python benchmarks/check.py --write-baseline [NETWORK ...] [--times]

What is the same on every machine must be equal to benchmarks/results/baseline.json: of each network at each scale the
parameters, the multiply-accumulates and the peak memory of activations on 48x72 pixels (or the next sizes that it
takes); at the smallest scale the last two after `srblocks.optimize`, and of the shortened network's ONNX file the nodes
and bytes, which are compared where torch and the ONNX libraries have the versions of the baseline.

Times (`--times`) are compared as multiples of that of a reference operation, eight 3x3 convolutions of 64 channels in
eager PyTorch, measured in the same rounds of the same process, minimum to minimum: 25 % above the baseline fails, 10 %
warns. They are compared where processor, threads and the engine's version are those of the baseline. While something
else runs, as load average or uneven rounds show, they warn where they would fail (`--strict`: fail).

Only `--write-baseline` (make bench-baseline) changes the baseline. It prints a line with the baseline's digest for
CHANGELOG.md, without which the check fails: figures change with a reason or not at all. Exit code 1: something fails.
"""

import argparse
import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness import environment
from harness.arguments import positive
from harness.baseline import EQUAL, FAILS, LEFT_OUT, TIME, Baseline, Finding, compare_figures, compare_ratios
from harness.figures import TOOLS, Figures, figures_of, tools
from harness.files import RESULTS, write
from harness.ratios import CASES, Relative, machine, ratios_of
from srblocks import list_networks
from srblocks.networks import network_spec
from srblocks.registry import UnknownNetworkError

SCHEMA = "srblocks.check/1"
BASELINE = RESULTS / "baseline.json"
CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
WRITE = "python benchmarks/check.py --write-baseline"
CHANGES = "changes"
MANY = 10
"""So many networks are not named one by one."""
WHY = "<what changed and why>"


def entry(baseline: Baseline) -> str:
    """The line of the changelog that stands for a baseline."""
    return f"- Benchmark baseline {baseline.digest}: {WHY}"


def explained(baseline: Baseline) -> bool:
    """Whether the changelog has the baseline's line, with a reason."""
    text = CHANGELOG.read_text() if CHANGELOG.is_file() else ""
    return bool(re.search(rf"^- Benchmark baseline {baseline.digest}: (?!{re.escape(WHY)})\S", text, re.MULTILINE))


def number(value: float | None) -> str:
    """A figure as a reader would write it."""
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def table(findings: Iterable[Finding]) -> list[str]:
    """What is to be looked at, one row each."""
    rows = ["| what | figure | baseline | now | change | verdict |", "|---|---|---|---|---|---|"]
    for one in findings:
        if one.verdict in (EQUAL, LEFT_OUT):
            continue
        change = f"{one.now / one.baseline - 1:+.2%}" if one.now is not None and one.baseline else ""
        verdict = f"{one.verdict}: {one.reason}" if one.reason else one.verdict
        cells = [one.subject, one.figure, number(one.baseline), number(one.now), change, verdict]
        rows.append(f"| {' | '.join(cells)} |")
    return rows if len(rows) > 2 else []


def summary(findings: Sequence[Finding]) -> list[str]:
    """How many figures were compared, with what outcome, and why the others were not."""
    outcomes = {EQUAL: 0} | Counter(one.verdict for one in findings if one.verdict != LEFT_OUT)
    reasons = Counter(one.reason for one in findings if one.verdict == LEFT_OUT)
    return [
        "figures: " + ", ".join(f"{count} {verdict}" for verdict, count in outcomes.items()),
        *(f"{LEFT_OUT}: {count}, {reason}" for reason, count in reasons.items()),
    ]


def remedies(findings: Iterable[Finding], baseline: Baseline) -> list[str]:
    """What to do about what fails; nothing where nothing does."""
    failing = [one for one in findings if one.verdict == FAILS]
    names = dict.fromkeys(one.subject for one in failing if one.figure != TIME)
    found = [f"if that is meant: {WRITE} {shlex.join(names if len(names) < MANY else ())}".rstrip()] if names else []
    if any(one.figure == TIME for one in failing):
        found.append(f"if the times are meant: {WRITE} --times")
    if not failing and not explained(baseline):
        found.append(f"{CHANGELOG.name} lacks the line of this baseline:\n{entry(baseline)}")
    return found


def gha(figures: Mapping[str, Figures], ratios: Mapping[str, Relative]) -> list[dict[str, Any]]:
    """The array that github-action-benchmark takes as customSmallerIsBetter."""
    counted = [
        {"name": f"{network}: {figure}", "unit": figure.partition(" x")[0].split()[-1], "value": value}
        for network, row in figures.items()
        for figure, value in row.items()
    ]
    timed = [
        {
            "name": name,
            "unit": "x reference",
            "value": one.ratio,
            "range": f"± {one.spread}",
            "extra": ", ".join([f"{len(one.timing.milliseconds)} rounds", *filter(None, [one.noise])]),
        }
        for name, one in ratios.items()
    ]
    return counted + timed


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description="Compare the benchmarks' figures with the committed ones.")
    found.add_argument("networks", nargs="*", metavar="NETWORK", help="the figures of these only; times are of all")
    found.add_argument("--times", action="store_true", help="times too, as multiples of a reference operation's")
    found.add_argument("--strict", action="store_true", help="times fail also while something else runs")
    found.add_argument("--threads", type=positive, default=1, help="threads of every engine (1)")
    found.add_argument("--rounds", type=positive, help="least number of rounds (11)")
    found.add_argument("--write-baseline", action="store_true", help="make the figures of now the committed ones")
    found.add_argument("--format", choices=("text", "gha"), default="text", help="gha: for github-action-benchmark")
    found.add_argument("--output", type=Path, metavar="FILE", help="write that to FILE, in benchmarks/results")
    found.add_argument("--json", type=Path, metavar="FILE", help="write all findings to FILE, in benchmarks/results")
    return found


def chosen(args: argparse.Namespace, baseline: Baseline) -> list[str]:
    """The networks whose figures are asked for; a written baseline loses those that are named and gone.

    Raises:
        UnknownNetworkError: no such network.
    """
    registered = list_networks()
    gone = [name for name in baseline.figures if name not in registered and args.write_baseline]
    return [network_spec(name).name for name in args.networks or registered if name not in gone]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 when something fails."""
    command = parser()
    args = command.parse_args(arguments)
    if args.output and args.format != "gha":
        command.error("--output takes what --format gha gives; give both")
    say = partial(print, file=sys.stderr if args.format == "gha" and not args.output else sys.stdout, flush=True)
    baseline, here, versions = Baseline.read(BASELINE), machine(args.threads), tools()
    try:
        names = chosen(args, baseline)
    except UnknownNetworkError as error:
        command.error(str(error))
    ratios, absent = ratios_of(CASES, threads=args.threads, rounds=args.rounds) if args.times else ({}, {})
    figures = figures_of(names)

    findings = compare_figures(baseline, figures, versions, list_networks())
    if args.times:
        findings += compare_ratios(baseline, ratios, absent, here, strict=args.strict)
    if args.write_baseline:
        if missing := ", ".join(sorted(set(TOOLS) - set(versions))):
            raise SystemExit(f'check.py: a baseline needs {missing}; pip install -e ".[onnx]"')
        findings = [replace(one, verdict=CHANGES) if one.verdict == FAILS else one for one in findings]
        before, baseline = baseline, baseline.with_figures(figures, versions, args.networks)
        if args.times:
            times = {name: one.ratio for name, one in ratios.items()}
            load = max(one.load for one in ratios.values())
            baseline = replace(baseline, machine=here | {"load": load}, ratios=times)
        baseline = baseline.after(before)
        baseline.write(BASELINE)
    noisy = [f"noisy: {name}, {one.noise}" for name, one in ratios.items() if one.noise]
    say("\n".join([*table(findings), *summary(findings), *noisy, *remedies(findings, baseline)]))

    passed = args.write_baseline or (explained(baseline) and all(one.verdict != FAILS for one in findings))
    if args.format == "gha":
        entries = gha(figures, ratios)
        if args.output:
            say(f"written to {write(entries, args.output).name}")
        else:
            print(json.dumps(entries, indent=2, ensure_ascii=False))
    if args.json:
        about = environment.describe(threads=args.threads)
        result = {"schema": SCHEMA, "environment": about, "baseline": baseline.digest, "passed": passed}
        say(f"written to {write(result | {'findings': [asdict(one) for one in findings]}, args.json).name}")
    return int(not passed)


if __name__ == "__main__":
    raise SystemExit(main())

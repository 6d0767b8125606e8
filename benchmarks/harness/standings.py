"""The best implementation against the best other one: contests, verdicts, and their tables."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .parity import Parity
from .timing import Ratio, Timing, noise

OURS = "srblocks"
PLAIN = "srblocks, not optimized"
PARITY = 1.0
"""A goal that is also reached when the rounds cannot tell the ratio from it."""

_CONFIDENCE = 0.95
_PYTORCH = ("eager", "channels_last", "compile", "TorchScript")


@dataclass(frozen=True)
class Candidate:
    """An implementation in an engine and a precision, timed.

    Attributes:
        implementation: the library, or what of ours.
        engine: what ran it.
        precision: what it computed in.
        timing: its milliseconds.
        parity: its output against that of the first peer in eager float32.
        build_seconds: until its first output.
    """

    implementation: str
    engine: str
    precision: str
    timing: Timing
    parity: Parity
    build_seconds: float

    def to_json(self, eager: Timing) -> dict[str, Any]:
        """Everything that was measured, as plain data; `eager` is what the peers do in eager float32."""
        return {
            "implementation": self.implementation,
            "engine": self.engine,
            "precision": self.precision,
            "ms": self.timing.to_json(),
            "ratio_to_eager": round(Ratio.of(eager, self.timing).paired, 4),
            "uneven": self.timing.noisy,
            "relative_error": self.parity.relative,
            "psnr_db": self.parity.decibels,
            "parity": str(self.parity),
            "build_seconds": round(self.build_seconds, 2),
        }


@dataclass(frozen=True)
class Contest:
    """Which candidates compete; the one with the least median stands for its side.

    Attributes:
        name: what tables call it.
        precision: of both sides.
        peers: engines of the peers; None for all.
        ours: engines of ours; None for all.
    """

    name: str
    precision: str
    peers: tuple[str, ...] | None = None
    ours: tuple[str, ...] | None = None


CONTESTS = (
    Contest("fp32", "fp32"),
    Contest("bf16", "bf16"),
    Contest("fp32 against eager", "fp32", peers=("eager",)),
    Contest("fp32 against eager, in PyTorch", "fp32", peers=("eager",), ours=_PYTORCH),
)


def interval(values: Iterable[float]) -> tuple[float, float]:
    """Where the median of what the values are drawn from lies with a confidence of 95 %; of few values, their range."""
    ordered = sorted(values)
    number, tail, rank = len(ordered), 0.0, 0
    while (tail := tail + math.comb(number, rank) / 2**number) <= (1 - _CONFIDENCE) / 2:
        rank += 1
    rank = max(0, rank - 1)
    return ordered[rank], ordered[-1 - rank]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a contest.

    Attributes:
        contest: its name.
        peer: the best of the peers.
        ours: the best of ours.
        goal: the ratio to reach; None for none.
        load: the highest load average around the measurement.
        cores: the processor's.
    """

    contest: str
    peer: Candidate
    ours: Candidate
    goal: float | None = None
    load: float = 0.0
    cores: int = 1

    @property
    def ratio(self) -> Ratio:
        """How many times as quick ours is."""
        return Ratio.of(self.peer.timing, self.ours.timing)

    @property
    def spread(self) -> tuple[float, float]:
        """Where the median of the ratios lies."""
        pairs = zip(self.peer.timing.milliseconds, self.ours.timing.milliseconds, strict=True)
        return interval(peer / ours for peer, ours in pairs)

    @property
    def outcome(self) -> str:
        """Whether the goal is met, missed, or, for parity, not to be told from the ratio ("even"); "" without one."""
        if self.goal is None:
            return ""
        if self.ratio.paired >= self.goal:
            return "met"
        return "even" if self.goal == PARITY and self.spread[1] >= PARITY else "missed"

    @property
    def noise(self) -> str:
        """Why the figures are not to be relied on; empty when they are."""
        return noise(self.peer.timing, self.ours.timing, load=self.load, cores=self.cores)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        ratio = {"median": self.ratio.paired, "of_medians": self.ratio.medians, "of_minima": self.ratio.minima}
        ratio |= dict(zip(("low", "high"), self.spread, strict=True))
        return {
            "contest": self.contest,
            "peer": _named(self.peer),
            "srblocks": _named(self.ours),
            "ratio": {name: round(value, 4) for name, value in ratio.items()},
            "goal": self.goal,
            "outcome": self.outcome,
            "noise": self.noise,
        }


def _named(one: Candidate) -> dict[str, Any]:
    times = {"median": round(one.timing.median, 4), "min": round(one.timing.minimum, 4)}
    return {"implementation": one.implementation, "engine": one.engine, "precision": one.precision, **times}


def best(candidates: Iterable[Candidate], precision: str, engines: Sequence[str] | None = None) -> Candidate | None:
    """The candidate with the least median of one precision, in any or in some engines; None where there is none."""
    those = [one for one in candidates if one.precision == precision and (engines is None or one.engine in engines)]
    return min(those, key=lambda one: one.timing.median, default=None)


def verdicts(
    candidates: Sequence[Candidate], peers: Sequence[str], goals: Mapping[str, float], *, load: float, cores: int
) -> list[Verdict]:
    """Decide every contest with candidates on both sides; `peers` are implementations, `goals` those of contests."""
    theirs = [one for one in candidates if one.implementation in peers]
    ours = [one for one in candidates if one.implementation == OURS]
    pairs = [
        (contest.name, best(theirs, contest.precision, contest.peers), best(ours, contest.precision, contest.ours))
        for contest in CONTESTS
    ]
    return [
        Verdict(name, peer, our, goals.get(name), load, cores) for name, peer, our in pairs if peer is not None and our
    ]


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *rows])


def candidates_markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """Every candidate of a result; milliseconds are median (minimum), * marks uneven ones."""
    head = ["network", "scale", "size", "engine", "precision", "implementation", "ms", "times eager", "parity"]
    return _table(
        head,
        (
            [
                *(row["network"], f"x{row['scale']}", row["size"]),
                *(row["engine"], row["precision"], row["implementation"]),
                f"{row['ms']['median']:.2f} ({row['ms']['min']:.2f}){'*' * row['uneven']}",
                *(f"{row['ratio_to_eager']:.2f}", row["parity"]),
            ]
            for row in rows
        ),
    )


def verdicts_markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """Every verdict of a result; the ratio is the median of the rounds (where its own median lies)."""
    head = ["network", "scale", "size", "contest", "best peer", "ms", "best srblocks", "ms", "ratio", "of minima"]
    return _table(
        [*head, "goal", "verdict"],
        (
            [
                *(row["network"], f"x{row['scale']}", row["size"], row["contest"]),
                *(f"{row['peer']['implementation']} in {row['peer']['engine']}", f"{row['peer']['median']:.2f}"),
                *(row["srblocks"]["engine"], f"{row['srblocks']['median']:.2f}"),
                f"{row['ratio']['median']:.2f} ({row['ratio']['low']:.2f}-{row['ratio']['high']:.2f})",
                f"{row['ratio']['of_minima']:.2f}",
                "" if row["goal"] is None else f"{row['goal']:.2f}",
                ", ".join(filter(None, (row["outcome"], row["noise"]))),
            ]
            for row in rows
        ),
    )


def standings_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line per network and input: the ratio of every contest and its goal, * for noisy ones."""
    contests = [contest.name for contest in CONTESTS if any(row["contest"] == contest.name for row in rows)]
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        goal = {"met": f" (goal {row['goal']})", "missed": f" (misses {row['goal']})", "even": " (even)"}
        cell = f"{row['ratio']['median']:.2f}{'*' * bool(row['noise'])}{goal.get(row['outcome'], '')}"
        lines.setdefault((f"{row['network']} x{row['scale']}", row["size"]), {})[row["contest"]] = cell
    return _table(
        ["network", "input", *contests],
        ([*key, *(cells.get(contest, "") for contest in contests)] for key, cells in lines.items()),
    )

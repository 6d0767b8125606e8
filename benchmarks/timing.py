"""Interleaved timing: all candidates run in one process, once per round."""

import math
import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Sample = TypeVar("Sample")

NOISY = 1.15
"""A series is noisy if its median is above this multiple of its minimum."""

SHORT = 250.0
"""Candidates faster than this many milliseconds run twice per turn."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one candidate, one value per round."""

    milliseconds: tuple[float, ...]

    @property
    def minimum(self) -> float:
        """The fastest round."""
        return min(self.milliseconds)

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.milliseconds)

    @property
    def noisy(self) -> bool:
        """True if the rounds are uneven, because other processes ran at the same time."""
        return self.median > NOISY * self.minimum

    def percentile(self, percent: int) -> float:
        """Return a percentile of the rounds."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]

    def to_json(self) -> dict[str, float]:
        """Return median, minimum and 10th and 90th percentile."""
        values = {"median": self.median, "min": self.minimum, "p10": self.percentile(10), "p90": self.percentile(90)}
        return {name: round(value, 4) for name, value in values.items()}


def paired_ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Return the median over the rounds of slow / fast; disturbances that affect both in one round cancel."""
    return statistics.median(one / other for one, other in zip(slow, fast, strict=True))


def median_interval(values: Iterable[float]) -> tuple[float, float]:
    """Return the 95 % confidence interval of the median; the full range for few values."""
    ordered = sorted(values)
    number, tail, rank = len(ordered), 0.0, 0
    while (tail := tail + math.comb(number, rank) / 2**number) <= (1 - CONFIDENCE) / 2:
        rank += 1
    rank = max(0, rank - 1)
    return ordered[rank], ordered[-1 - rank]


def wall_clock(run: Callable[[], object]) -> float:
    """Run once and return the milliseconds."""
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


def settled_clock(run: Callable[[], object]) -> float:
    """Run and return the milliseconds; short runs are repeated and the second run is timed.

    The first run refills the caches that the previous candidate evicted, which can take as long as a small network.
    In production, the previous run is usually one of the same network.
    """
    first = wall_clock(run)
    return wall_clock(run) if first < SHORT else first


def interleave(
    candidates: Mapping[Key, Callable[[], object]],
    *,
    rounds: int,
    warm_up: int = 2,
    seconds: float = 0.0,
    measure: Callable[[Callable[[], object]], Sample],
) -> dict[Key, list[Sample]]:
    """Measure every candidate once per round, alternating between forward and reverse order.

    Args:
        candidates: functions to run.
        rounds: minimum number of rounds.
        warm_up: runs of each candidate before the first round.
        seconds: add rounds until this much time has passed, for candidates that take milliseconds.
        measure: runs a candidate and returns a measurement.
    """
    for run in candidates.values():
        for _ in range(warm_up):
            run()
    samples: dict[Key, list[Sample]] = {name: [] for name in candidates}
    order = list(candidates)
    start = time.perf_counter()
    done = 0
    while done < rounds or time.perf_counter() - start < seconds:
        for name in order:
            samples[name].append(measure(candidates[name]))
        order.reverse()
        done += 1
    return samples

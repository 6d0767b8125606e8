"""Timing candidates against one another: one process, round after round, each candidate once a round."""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)
Sample = TypeVar("Sample")

STEADY = 1.15
"""A series is noisy when its median is above this multiple of its minimum."""


QUICK = 250.0
"""Milliseconds below which a candidate runs twice in its turn."""


@dataclass(frozen=True)
class Timing:
    """The milliseconds of one candidate, one figure per round."""

    milliseconds: tuple[float, ...]

    @property
    def minimum(self) -> float:
        """The quickest round."""
        return min(self.milliseconds)

    @property
    def median(self) -> float:
        """The round in the middle."""
        return statistics.median(self.milliseconds)

    @property
    def noisy(self) -> bool:
        """Something else ran at the same time."""
        return self.median > STEADY * self.minimum

    def percentile(self, percent: int) -> float:
        """The round below which that share of the rounds lies."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]

    @property
    def interquartile(self) -> float:
        """The distance from the lower to the upper quartile."""
        return self.percentile(75) - self.percentile(25)

    @property
    def variation(self) -> float:
        """The standard deviation, relative to the mean."""
        return statistics.pstdev(self.milliseconds) / statistics.fmean(self.milliseconds)

    def summary(self) -> dict[str, float]:
        """What is said of the rounds."""
        found = {"min": self.minimum, "median": self.median}
        found |= {f"p{percent}": self.percentile(percent) for percent in (10, 90, 95, 99)}
        found |= {"mean": statistics.fmean(self.milliseconds), "std": statistics.pstdev(self.milliseconds)}
        found["iqr"] = self.interquartile
        return {name: round(value, 4) for name, value in found.items()}

    def to_json(self) -> dict[str, Any]:
        """The rounds and what is said of them, as plain data."""
        summary = {"min": self.minimum, "median": self.median, "p10": self.percentile(10), "p90": self.percentile(90)}
        return {name: round(value, 4) for name, value in summary.items()} | {
            "rounds": [round(value, 4) for value in self.milliseconds]
        }


@dataclass(frozen=True)
class Ratio:
    """How many times as quick one candidate is as another one of the same rounds.

    Attributes:
        paired: median over the rounds of their ratio in each; what moves both in a round cancels.
        medians: ratio of the medians.
        minima: ratio of the minima.
    """

    paired: float
    medians: float
    minima: float

    @classmethod
    def of(cls, slow: Timing, quick: Timing) -> "Ratio":
        """Compare two series of the same rounds."""
        paired = [one / other for one, other in zip(slow.milliseconds, quick.milliseconds, strict=True)]
        return cls(statistics.median(paired), slow.median / quick.median, slow.minimum / quick.minimum)


def noise(*timings: Timing, load: float, cores: int) -> str:
    """Say why figures are not to be relied on: uneven rounds, or a load above the number of cores; empty when they are.

    Args:
        timings: the candidates that were compared.
        load: the highest load average around the measurement.
        cores: the processor's.
    """
    reasons = ["uneven"] * any(timing.noisy for timing in timings) + [f"load {load}"] * (load > cores)
    return f"noisy ({', '.join(reasons)})" if reasons else ""


def wall_clock(run: Callable[[], object]) -> float:
    """Run once and give the milliseconds."""
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


def settled_clock(run: Callable[[], object]) -> float:
    """Run and give the milliseconds; of what is quick those of a second run, which finds caches and memory its own.

    The candidate before it has taken both, and getting them back costs as much as a small network: in use, a network
    follows itself.
    """
    first = wall_clock(run)
    return wall_clock(run) if first < QUICK else first


def interleave(
    candidates: Mapping[Key, Callable[[], object]],
    *,
    rounds: int,
    warm_up: int = 2,
    seconds: float = 0.0,
    measure: Callable[[Callable[[], object]], Sample],
) -> dict[Key, list[Sample]]:
    """Measure every candidate once a round, forwards and backwards in turn.

    Args:
        candidates: what to run.
        rounds: the least number of rounds.
        warm_up: runs of each candidate ahead of the first round.
        seconds: go on with further rounds until that much time has passed, for candidates that take milliseconds.
        measure: runs a candidate and gives a figure.
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

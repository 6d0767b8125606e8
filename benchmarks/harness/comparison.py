"""Two variants of a network, timed in the same rounds: the row that comes of it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from srblocks.network import Network

from . import cuda
from .candidates import Ready, Timed, ready_all, subjects_of, timed
from .engines import Way
from .parity import TOLERANCE, parity, psnr, relative_error
from .timing import Ratio, Timing, noise


@dataclass(frozen=True)
class Measured:
    """What was found of one candidate.

    Attributes:
        timing: its milliseconds.
        error: largest error against the plain network in float32, relative to the standard deviation.
        decibels: PSNR against the same.
        more: further figures.
    """

    timing: Timing
    error: float
    decibels: float
    more: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; no PSNR where the outputs are equal."""
        decibels = round(self.decibels, 2) if self.error else None
        return {"ms": self.timing.to_json(), "relative_error": self.error, "psnr_db": decibels, **self.more}


@dataclass(frozen=True)
class Row:
    """One line of a table: a plain and an optimized candidate.

    Attributes:
        network: its title.
        scale: enlargement per side.
        size: of the low-resolution input.
        engine: what ran both.
        plain: the candidate without the rewrites.
        optimized: the one with them.
        goal: the ratio to reach; None for none.
        load: the highest load average around the measurement.
        cores: the processor's.
        rewrite: the rewrite that `plain` lacks; None for all of them.
    """

    network: str
    scale: int
    size: str
    engine: str
    plain: Measured
    optimized: Measured
    goal: float | None = None
    load: float = 0.0
    cores: int = 1
    rewrite: str | None = None

    @property
    def ratio(self) -> Ratio:
        """How many times as quick the rewrites make it."""
        return Ratio.of(self.plain.timing, self.optimized.timing)

    @property
    def noise(self) -> str:
        """Why the figures are not to be relied on; empty when they are."""
        return noise(self.plain.timing, self.optimized.timing, load=self.load, cores=self.cores)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        return None if self.goal is None else self.ratio.paired >= self.goal

    @property
    def verdict(self) -> str:
        """The goal and the noise in words."""
        words = ["" if self.met is None else "met" if self.met else "missed", self.noise]
        return ", ".join(word for word in words if word)

    def to_json(self) -> dict[str, Any]:
        """Everything that was measured and is said of it, as plain data."""
        ratio = {"median": self.ratio.paired, "of_medians": self.ratio.medians, "of_minima": self.ratio.minima}
        return {
            "network": self.network,
            "scale": self.scale,
            "size": self.size,
            "engine": self.engine,
            "rewrite": self.rewrite,
            "plain": self.plain.to_json(),
            "optimized": self.optimized.to_json(),
            "ratio": {name: round(value, 4) for name, value in ratio.items()},
            "goal": self.goal,
            "met": self.met,
            "noisy": bool(self.noise),
            "load": self.load,
        }


def titled(network: str, config: Mapping[str, object]) -> str:
    """The network, with the arguments that were changed of it."""
    changed = ", ".join(f"{key}={value}" for key, value in config.items())
    return f"{network} ({changed})" if changed else network


def check(outputs: Mapping[tuple[str, str], Tensor], reference: Tensor, *, tf32: bool = False) -> None:
    """Stop where a candidate gives something else than the plain network, beyond what its precision explains.

    Args:
        outputs: (engine with precision, variant) -> output.
        reference: the output of the plain network in float32.
        tf32: float32 may round to TF32.
    """
    for (label, variant), output in outputs.items():
        found = parity(output, reference, Way.named(label).precision, tf32=tf32)
        if not found.ok:
            raise SystemExit(f"{variant} network in {label}: {found}")


def reference_output(net: Network, lr: Tensor, device: str, *, tf32: bool = False) -> Tensor:
    """What the plain network gives in float32, on the CPU; TF32 is off for it, and afterwards what `tf32` says."""
    place = cuda.DEVICE if device == "cuda" else device
    if device == "cuda":
        cuda.prepare(tf32=False)
    with torch.inference_mode():
        output = copy.deepcopy(net).to(place)(lr.to(place)).cpu()
    if device == "cuda":
        cuda.prepare(tf32=tf32)
    return output


def compare(
    nets: Mapping[str, Network],
    lr: Tensor,
    labels: Sequence[str],
    *,
    device: str = "cpu",
    threads: int = 1,
    rounds: int | None = None,
    tf32: bool = False,
) -> dict[tuple[str, str], Measured]:
    """Compare every variant in every engine: parity first, then time, in the same rounds.

    Args:
        nets: variant -> network; the first one is the reference, in float32.
        lr: the images.
        labels: engines with their precisions, as `Way.named` takes them.
        device: cpu or cuda.
        threads: of every engine on the CPU.
        rounds: the least number of rounds.
        tf32: float32 convolutions on CUDA may round to TF32.

    Returns:
        (engine, variant) -> what was found; without engines that failed, which are printed.
    """
    ways = [Way.named(label) for label in labels]
    with subjects_of(nets, lr, device=device, threads=threads, tf32=tf32) as subjects:
        reference = reference_output(next(iter(nets.values())), lr, device, tf32=tf32)
        entries = {
            (way.label, variant): (way.engine, subject.at(way.precision))
            for way in ways
            for variant, subject in subjects.items()
        }
        ready, failed = ready_all(entries)
        for (label, variant), reason in failed.items():
            print(f"left out: {variant} network in {label}, {reason}", flush=True)
        whole = {label for label in labels if not any(label == other for other, _ in failed)}
        ready = {key: one for key, one in ready.items() if key[0] in whole}
        check({key: one.output for key, one in ready.items()}, reference, tf32=tf32)
        times = timed(ready, device=device, rounds=rounds)
    return {
        key: Measured(times[key].timing, relative_error(one.output, reference), psnr(one.output, reference), more)
        for key, one in ready.items()
        for more in [_more(one, times[key])]
    }


def _more(ready: Ready, times: Timed) -> dict[str, object]:
    series = {"wall_ms": times.wall, "end_to_end_ms": times.end_to_end}
    found: dict[str, object] = {name: timing.to_json() for name, timing in series.items() if timing}
    return found | {"build_seconds": round(ready.costs.build_seconds, 2), "memory_bytes": ready.costs.memory_bytes}


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table; milliseconds are median (minimum)."""
    each = any(row.rewrite for row in rows)
    first, second = ("without", "with") if each else ("plain", "optimized")
    head = ["network", "scale", "size", *(["rewrite"] if each else []), "engine", f"{first} ms", f"{second} ms"]
    head += ["ratio", "of medians / minima", "PSNR", "goal", "verdict"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        pair = (row.plain, row.optimized)
        ratio = row.ratio
        cells = [row.network, f"x{row.scale}", row.size, *([row.rewrite or ""] if each else []), row.engine]
        cells += [f"{one.timing.median:.2f} ({one.timing.minimum:.2f})" for one in pair]
        cells += [f"{ratio.paired:.2f}", f"{ratio.medians:.2f} / {ratio.minima:.2f}"]
        cells.append(
            " / ".join(f"{one.decibels:.0f}" for one in pair) if max(one.error for one in pair) > TOLERANCE else ""
        )
        cells += [f"{row.goal:.2f}" if row.goal else "", row.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def details(rows: Sequence[Row]) -> str:
    """Every candidate on a GPU by itself: milliseconds, wall time, memory, and exactness."""
    head = ["network", "scale", "size", "engine", "variant", "median", "min", "p10", "p90", "wall median"]
    head += ["end-to-end median", "memory MiB", "build s", "error", "PSNR"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        for variant, one in (("plain", row.plain), ("optimized", row.optimized)):
            found = one.to_json()
            times = [f"{found['ms'][name]:.3f}" for name in ("median", "min", "p10", "p90")]
            times += [f"{found[name]['median']:.3f}" for name in ("wall_ms", "end_to_end_ms")]
            cells = [row.network, f"x{row.scale}", row.size, row.engine, variant, *times]
            cells += [f"{(found['memory_bytes'] or 0) / 2**20:.1f}", f"{found['build_seconds']:.1f}"]
            cells += [f"{one.error:.1e}", f"{one.decibels:.1f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)

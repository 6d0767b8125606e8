"""The rows of a latency measurement: as data of a checked schema, as a table, and what optimization gains on a GPU."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from .candidates import Costs, Timed
from .parity import Parity
from .timing import Ratio, Timing

SCHEMA = "srblocks.bench/1"
REFERENCE = "eager", "fp32", "plain"
"""What all others are compared with."""
PLAIN_HALF = ("channels_last", "compile max-autotune")
"""Engines in which users of a plain network have it in half precision on a GPU."""
GOALS = {("edsr_baseline", 4): 1.5, ("rcan", 4): 2.0, ("fsrcnn", 2): 2.0, ("fsrcnn", 4): 2.0}
"""On a GPU: how many times as quick as the best of the plain network the optimized one has to be in its best engine."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One network, on images of one shape, in one engine.

    Attributes:
        network: registry name.
        scale: enlargement per side.
        shape: of the input.
        engine: what ran it.
        precision: what it computed in.
        device: cpu or cuda.
        variant: "plain" or "optimized".
        warm_up: runs ahead of the first that counts.
        time: what the runs took.
        reference: the same of the plain network in eager float32, in the same rounds.
        costs: what it costs beside time.
        parity: how exact it is.
        bound_ms: the milliseconds that it needs at the least, pointwise work fused; None where the device is not known.
        load: the highest load average around the measurement.
        cores: the processor's.
    """

    network: str
    scale: int
    shape: tuple[int, ...]
    engine: str
    precision: str
    device: str
    variant: str
    warm_up: int
    time: Timed
    reference: Timing
    costs: Costs
    parity: Parity
    bound_ms: float | None
    load: float
    cores: int

    @property
    def megapixels(self) -> float:
        """Of all output images."""
        batch, _, height, width = self.shape
        return batch * height * width * self.scale**2 / 1e6

    @property
    def ratio(self) -> float:
        """How many times as quick as the plain network in eager float32."""
        return Ratio.of(self.reference, self.time.timing).paired

    @property
    def stable(self) -> bool:
        """Nothing else ran at the same time, as far as the figures show."""
        return not self.time.timing.noisy and (self.device == "cuda" or self.load <= self.cores)

    @property
    def percent_of_bound(self) -> float | None:
        """How much of the speed that the bound allows is reached."""
        return 100 * self.bound_ms / self.time.timing.median if self.bound_ms else None

    def to_json(self) -> dict[str, Any]:
        """Plain data, as the schema says."""
        timing, percent = self.time.timing, self.percent_of_bound
        more = {"wall_ms": self.time.wall, "e2e_ms": self.time.end_to_end}
        return {
            "net": self.network,
            "scale": self.scale,
            "shape": list(self.shape),
            "backend": self.engine,
            "precision": self.precision,
            "device": self.device,
            "variant": self.variant,
            "n_warmup": self.warm_up,
            "n": len(timing.milliseconds),
            "ms": timing.summary(),
            **{name: series.summary() if series else None for name, series in more.items()},
            "cov": round(timing.variation, 4),
            "stable": self.stable,
            "load": self.load,
            "ms_per_mpix": round(timing.median / self.megapixels, 4),
            "throughput_mpix_s": round(1000 * self.megapixels / timing.median, 4),
            "ratio_vs_eager": round(self.ratio, 4),
            "bound_ms": self.bound_ms and round(self.bound_ms, 4),
            "percent_of_bound": percent and round(percent, 2),
            "peak_mem_mb": None if self.costs.memory_bytes is None else round(self.costs.memory_bytes / 1e6, 2),
            "build_s": round(self.costs.build_seconds, 2),
            "artifact_bytes": self.costs.artifact_bytes,
            "parity_ok": self.parity.ok,
            "parity_max_abs": self.parity.largest,
            "parity_relative": self.parity.relative,
            "psnr_vs_fp32_db": self.parity.decibels,
        }


def title(case: dict[str, Any]) -> str:
    """Network and scale."""
    return f"{case['net']} x{case['scale']}"


def size(case: dict[str, Any]) -> str:
    """Batch, height and width of the input."""
    batch, _, height, width = case["shape"]
    return f"{batch}x{height}x{width}"


def rounded(value: float) -> str:
    """A figure with at least three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cells(case: dict[str, Any]) -> list[str]:
    ms, memory, artifact = case["ms"], case["peak_mem_mb"], case["artifact_bytes"]
    parity = Parity(case["parity_max_abs"], case["parity_relative"], case["psnr_vs_fp32_db"], case["parity_ok"])
    cells = [title(case), size(case), f"{case['backend']} {case['precision']}", case["variant"]]
    median, least, low, high, spread = (rounded(ms[name]) for name in ("median", "min", "p10", "p90", "iqr"))
    cells += [f"{median} ({least})", f"{low} - {high}", spread]
    cells += [rounded(case["e2e_ms"]["median"])] if case["e2e_ms"] else []
    cells += [rounded(case["ms_per_mpix"]), f"{case['ratio_vs_eager']:.2f}"]
    cells.append(f"{case['percent_of_bound']:.0f} %" if case["percent_of_bound"] else "")
    cells += ["" if memory is None else f"{memory:.1f}", f"{case['build_s']:.1f}"]
    cells += [f"{artifact / 1e6:.2f}" if artifact else "", str(parity), "" if case["stable"] else "noisy"]
    return cells


def markdown(cases: Sequence[dict[str, Any]]) -> str:
    """Rows of a result as a table; milliseconds are median (minimum)."""
    head = ["network", "input", "engine", "variant", "ms", "p10 - p90", "IQR"]
    head += ["end to end ms"] if any(case["e2e_ms"] for case in cases) else []
    head += ["ms per MP", "x eager", "of bound", "memory MB", "build s", "file MB", "parity", ""]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join(lines + [f"| {' | '.join(_cells(case))} |" for case in cases])


def _per_mpix(case: dict[str, Any]) -> str:
    return rounded(case["ms_per_mpix"]) + "*" * (not case["stable"])


def best(result: dict[str, Any]) -> str:
    """One line per network and input: the plain network in eager float32, the quickest of every precision."""
    cases = result["cases"]
    precisions = [name for name in ("fp32", "fp16", "bf16") if any(case["precision"] == name for case in cases)]
    head = ["network", "input", "plain eager fp32, ms per MP", *(f"quickest {name}" for name in precisions)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for key in dict.fromkeys((title(case), size(case)) for case in cases):
        rows = [case for case in cases if (title(case), size(case)) == key and case["parity_ok"]]
        plain = [row for row in rows if (row["backend"], row["precision"], row["variant"]) == REFERENCE]
        cells = [*key, *(_per_mpix(row) for row in plain)]
        for precision in precisions:
            found = [row for row in rows if row["precision"] == precision and row["variant"] == "optimized"]
            quickest = sorted(found, key=lambda row: row["ms"]["median"])[:1]
            told = [f"{row['backend']}, {row['ratio_vs_eager']:.1f}x" for row in quickest]
            cells += [f"{_per_mpix(row)}, {words}" for row, words in zip(quickest, told, strict=True)] or [""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdicts(rows: Sequence[Measurement]) -> str:
    """The optimized network in its best engine against the plain one in eager or compiled, in fp16, with the goals."""
    lines = [
        "| network | input | best plain | best optimized | ratio | goal | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for key in dict.fromkeys((row.network, row.scale, row.shape) for row in rows):
        half = [
            row
            for row in rows
            if (row.network, row.scale, row.shape, row.precision) == (*key, "fp16")
            and row.parity.ok
            and (row.variant == "optimized" or row.engine in PLAIN_HALF)
        ]
        best = {
            variant: min(
                (row for row in half if row.variant == variant), key=lambda row: row.time.timing.median, default=None
            )
            for variant in ("plain", "optimized")
        }
        plain, optimized = best["plain"], best["optimized"]
        if plain is None or optimized is None:
            continue
        ratio, goal = Ratio.of(plain.time.timing, optimized.time.timing).paired, GOALS.get(key[:2])
        verdict = "" if goal is None else "met" if ratio >= goal else "missed"
        pair = " | ".join(f"{row.engine}, {row.time.timing.median:.3f} ms" for row in (plain, optimized))
        title = f"{key[0]} x{key[1]} | {'x'.join(map(str, (key[2][0], *key[2][2:])))}"
        lines.append(f"| {title} | {pair} | {ratio:.2f} | {goal or ''} | {verdict} |")
    return "\n".join(lines)


def validated(result: dict[str, Any]) -> dict[str, Any]:
    """Check a result against the schema, and give it.

    Raises:
        jsonschema.ValidationError: it is not what the schema says.
    """
    jsonschema.validate(result, json.loads(Path(__file__).with_name("bench-1.schema.json").read_text()))
    return result

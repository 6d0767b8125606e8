"""A chart of a latency measurement."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srblocks._utils.files import atomic_path

from .latency import rounded

COLORS = {"fp32": "#4878a8", "fp16": "#d1853c", "bf16": "#6aa56e"}
COLUMNS = 3


def largest(cases: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each network's largest input that are not wrong, quickest first, under a title."""
    cases = [case for case in cases if case["parity_ok"]]
    panels: dict[str, list[dict[str, Any]]] = {}
    for net, scale in dict.fromkeys((case["net"], case["scale"]) for case in cases):
        rows = [case for case in cases if (case["net"], case["scale"]) == (net, scale)]
        shape = max((row["shape"] for row in rows), key=lambda shape: (math.prod(shape), shape[2:]))
        batch, _, height, width = shape
        found = [row for row in rows if row["shape"] == shape]
        panels[f"{net} x{scale}, input {batch}x{height}x{width}"] = sorted(found, key=lambda row: row["ms"]["median"])
    return panels


def chart(result: dict[str, Any], path: Path) -> Path:
    """Draw milliseconds per output megapixel, median and 10th to 90th percentile, one panel a network, to a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (of the extra "bench")
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    panels = largest(result["cases"])
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    height = 0.9 + 0.24 * max(map(len, panels.values()))
    figure = Figure(figsize=(6.2 * columns, height * rows + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, (title, found) in zip(axes, panels.items(), strict=False):
        labels = [f"{row['backend']} {row['precision']}" + " (plain)" * (row["variant"] == "plain") for row in found]
        median = [row["ms_per_mpix"] for row in found]
        unit = [row["ms_per_mpix"] / row["ms"]["median"] for row in found]
        spread = [
            [abs(row["ms"][edge] - row["ms"]["median"]) * each for row, each in zip(found, unit, strict=True)]
            for edge in ("p10", "p90")
        ]
        bars = axis.barh(labels, median, xerr=spread, color=[COLORS[row["precision"]] for row in found], capsize=2)
        for bar, row in zip(bars, found, strict=True):
            if row["variant"] == "plain":
                bar.set_hatch("//")
                bar.set_edgecolor("white")
        axis.bar_label(bars, list(map(rounded, median)), padding=4, fontsize=7)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.set_xlim(0, 1.18 * max(map(sum, zip(median, spread[1], strict=True))))
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    env = result["env"]
    device = env["gpu"] or f"{env['cpu']}, {env['threads']} thread{'s' * (env['threads'] > 1)}"
    figure.suptitle(f"ms per output megapixel, median, p10 - p90; {device}; torch {env['torch']}", fontsize=10)
    used = [precision for precision in COLORS if any(case["precision"] == precision for case in result["cases"])]
    figure.legend(handles=[Patch(color=COLORS[name], label=name) for name in used], loc="outside lower center", ncols=3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    return path

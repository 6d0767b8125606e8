"""Bar chart of a latency record."""

import math
from collections.abc import Sequence
from pathlib import Path

from formatting import rounded
from measure import ORIGINAL, Row
from record import Record
from srblocks._utils.files import atomic_path

COLORS = {"fp32": "#4878a8", "fp16": "#d1853c", "bf16": "#6aa56e"}
COLUMNS = 3


def largest_inputs(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each network's largest input, fastest first, by title."""
    panels: dict[str, list[Row]] = {}
    for network, scale in dict.fromkeys((row["network"], row["scale"]) for row in rows):
        found = [row for row in rows if (row["network"], row["scale"]) == (network, scale)]
        shape = max((row["shape"] for row in found), key=lambda shape: (math.prod(shape), shape[2:]))
        batch, _, height, width = shape
        found = [row for row in found if row["shape"] == shape]
        panels[f"{network} x{scale}, input {batch}x{height}x{width}"] = sorted(
            found, key=lambda row: row["ms"]["median"]
        )
    return panels


def chart(record: Record, path: Path) -> Path:
    """Draw milliseconds per output megapixel (median, 10th to 90th percentile), one panel per network, to a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (optional library)
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    panels = largest_inputs(record.rows)
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    height = 0.9 + 0.24 * max(map(len, panels.values()))
    figure = Figure(figsize=(6.2 * columns, height * rows + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, (title, found) in zip(axes, panels.items(), strict=False):
        labels = [
            f"{row['backend']} {row['precision']}" + " (original)" * (row["implementation"] == ORIGINAL)
            for row in found
        ]
        unit = [1e6 / (math.prod(row["shape"]) / row["shape"][1] * row["scale"] ** 2) for row in found]
        median = [row["ms"]["median"] * each for row, each in zip(found, unit, strict=True)]
        spread = [
            [abs(row["ms"][edge] - row["ms"]["median"]) * each for row, each in zip(found, unit, strict=True)]
            for edge in ("p10", "p90")
        ]
        bars = axis.barh(labels, median, xerr=spread, color=[COLORS[row["precision"]] for row in found], capsize=2)
        for bar, row in zip(bars, found, strict=True):
            if row["implementation"] == ORIGINAL:
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
    about = record.environment
    threads = about["threads"]
    device = (
        about["gpu"]["name"] if "gpu" in about else f"{about['cpu']['name']}, {threads} thread{'s' * (threads > 1)}"
    )
    figure.suptitle(
        f"ms per output megapixel, median, p10 - p90; {device}; torch {about['versions']['torch']}", fontsize=10
    )
    used = [precision for precision in COLORS if any(row["precision"] == precision for row in record.rows)]
    figure.legend(handles=[Patch(color=COLORS[name], label=name) for name in used], loc="outside lower center", ncols=3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    return path

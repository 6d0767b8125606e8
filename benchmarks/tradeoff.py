"""PSNR over latency of networks with published weights: a table and a chart from two committed records.

    python benchmarks/tradeoff.py [--chart FILE]

Set5 PSNR at x4 comes from `published.json` (published.py --json), milliseconds from `latency-modern-cpu.json`
(latency.py): one 64x64 input on one thread, the optimized network in its fastest fp32 backend.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from formatting import rounded, table
from latency import fastest
from measure import by_case
from options import parser
from record import Record
from srblocks._utils.files import atomic_path
from srblocks.networks import network_spec

PUBLISHED, LATENCY = "published.json", "latency-modern-cpu.json"
CHART = Path(__file__).parents[1] / "docs" / "tradeoff.png"
NOT_BICUBIC = ("compact", "safmnpp_light")
"""Networks whose published weights are not for bicubic images: their PSNR would mislead."""


@dataclass(frozen=True)
class Point:
    """A network in the table.

    Attributes:
        network: registry name with the scale.
        parameters: number of parameters.
        radius: receptive radius in low-resolution pixels; None for the entire image.
        milliseconds: median time of one 64x64 input.
        backend: backend with that time.
        psnr: PSNR on Set5 in dB; None if no weights are at hand.
    """

    network: str
    parameters: int
    radius: int | None
    milliseconds: float
    backend: str
    psnr: float | None


def points() -> list[Point]:
    """Return all networks, fastest first."""
    psnr = {
        (row["network"], row["scale"]): row["psnr"]
        for row in Record.read(PUBLISHED).rows
        if row["images"] == "Set5" and row["network"] not in NOT_BICUBIC
    }
    found: list[Point] = []
    for (title, _), rows in by_case(Record.read(LATENCY).rows).items():
        row = fastest(rows, "fp32")
        if row is None:
            continue
        name, scale = row["network"], row["scale"]
        spec = network_spec(name)
        parameters = sum(parameter.numel() for parameter in spec.create(scale=scale).parameters())
        radius = spec.size_requirements[scale].radius
        found.append(Point(title, parameters, radius, row["ms"]["median"], row["backend"], psnr.get((name, scale))))
    return sorted(found, key=lambda point: point.milliseconds)


def markdown() -> str:
    """Return the table."""
    rows = [
        [
            f"`{point.network}`",
            f"{point.parameters:,}",
            f"{point.psnr:.2f}" if point.psnr else "",
            "global" if point.radius is None else str(point.radius),
            f"{rounded(point.milliseconds)}, {point.backend}",
        ]
        for point in points()
    ]
    return table(["network", "parameters", "Set5 PSNR, dB", "receptive radius", "ms, 1x64x64"], rows)


def chart(path: Path) -> None:
    """Draw PSNR over milliseconds, with parameters as area."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (optional library)
    from matplotlib.figure import Figure  # noqa: PLC0415

    drawn = [point for point in points() if point.psnr]
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    times, psnr = [point.milliseconds for point in drawn], [point.psnr for point in drawn]
    axis.scatter(times, psnr, s=[point.parameters / 1000 for point in drawn], alpha=0.5, color="#4878a8")
    for point, time, value in zip(drawn, times, psnr, strict=True):
        axis.annotate(point.network, (time, value), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=8)
    axis.set_xscale("log")
    for ticks in (axis.xaxis.set_major_formatter, axis.xaxis.set_minor_formatter):
        ticks("{x:g}")
    axis.margins(0.12)
    axis.set_xlabel("milliseconds for 64x64 pixels, one CPU thread, fastest fp32 backend")
    axis.set_ylabel("PSNR on Set5 (luma), dB")
    axis.set_title("x4 networks with published weights; area: parameters", fontsize=10)
    axis.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png", metadata={"Software": None})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    command = parser("PSNR over latency of networks with published weights.")
    command.add_argument("--chart", type=Path, help=f"write the chart to this file, such as {CHART.name}")
    args = command.parse_args(arguments)
    print(markdown())
    if args.chart:
        chart(args.chart)
        print(f"written to {args.chart}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

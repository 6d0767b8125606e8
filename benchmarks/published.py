"""What published weights give on Set5 and Set14, as a Markdown table beside what was published of them.

    SRBLOCKS_DATA=folder python benchmarks/published.py [--json FILE]

The files are in their authors' layouts, as `load_checkpoint` takes them. The protocol is that of
`srblocks-evaluate`, on CPU.
"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.files import data as data_folder
from harness.files import write
from srblocks import load_checkpoint
from srblocks.evaluate import Score, evaluate, image_files, means
from srblocks.inference import from_network
from srblocks.networks import network_name


@dataclass(frozen=True, eq=False)
class Row:
    """Weights and what their authors publish of them, decibels per scale."""

    title: str
    files: dict[int, str]
    published: dict[int, float]
    images: str = "Set5"


VDSR, CARN_M = "converted_vdsr_twtygqyy.pth", "carn_m.pth"
LAPSRN = "converted_lapsrn_twtygqyy.pth"
ROWS = (
    Row("VDSR, twtygqyy", dict.fromkeys((2, 3, 4), VDSR), {2: 37.65, 3: 33.77, 4: 31.45}),
    Row("LapSRN, twtygqyy (x4; x2 is its first level)", {2: LAPSRN, 4: LAPSRN}, {4: 31.65}),
    Row("LapSRN, twtygqyy", {4: LAPSRN}, {4: 28.27}, images="Set14"),
    Row("DRCN, jiny2001 (96 features, 9 recursions)", {2: "converted_drcn_jiny2001.pth"}, {2: 37.31}),
    Row("CARN-M, the authors", dict.fromkeys((2, 3, 4), CARN_M), {2: 37.53, 3: 33.99, 4: 31.92}),
    Row("SRGAN, leftthomas", {scale: f"srgan_leftthomas_netG_epoch_{scale}_100_a.pth" for scale in (2, 4)}, {}),
)


def measure(data: Path, row: Row, scale: int) -> Score:
    """Score the weights of a row at one scale."""
    net = load_checkpoint(data / "weights" / row.files[scale], scale=scale)
    return means(list(evaluate(from_network(net, network_name(net)), image_files(data / "images" / row.images))))


def cell(row: Row, scale: int, found: Score | None) -> str:
    """PSNR in decibels / SSIM, in parentheses the published PSNR."""
    published = f"({row.published[scale]})" if scale in row.published else ""
    return f"{found.psnr:.2f} / {found.ssim:.4f} {published}".strip() if found else published


def markdown(figures: dict[Row, dict[int, Score]]) -> str:
    """The figures as a table."""
    lines = ["| weights | images | x2 | x3 | x4 |", "|---|---|---|---|---|"]
    for row, scores in figures.items():
        cells = " | ".join(cell(row, scale, scores.get(scale)) for scale in (2, 3, 4))
        lines.append(f"| {row.title} | {row.images} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Evaluate published weights on Set5 and Set14.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE, in benchmarks/results")
    args = parser.parse_args()
    data = data_folder("weights", "images")
    figures = {row: {scale: measure(data, row, scale) for scale in row.files} for row in ROWS}
    print(markdown(figures))
    if args.json:
        rows = [
            {**asdict(row), "measured": {scale: asdict(found) for scale, found in scores.items()}}
            for row, scores in figures.items()
        ]
        print(f"written to {write(rows, args.json).name}")


if __name__ == "__main__":
    main()

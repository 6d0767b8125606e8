"""PSNR and SSIM of published weights on Set5 and Set14, next to the published values.

    SRBLOCKS_DATA=folder python benchmarks/published.py [--json FILE]

The files are in their authors' layouts and are loaded by `load_checkpoint`. The protocol is that of
`srblocks-evaluate`, on the CPU.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from formatting import table
from options import parser
from record import Record, data_folder
from srblocks import load_checkpoint
from srblocks.evaluate import Score, evaluate, image_files, means
from srblocks.inference import from_network
from srblocks.network import Network
from srblocks.networks import network_name

SCALES = (2, 3, 4)


@dataclass(frozen=True, eq=False)
class Row:
    """Published weights.

    Attributes:
        title: network and source.
        files: scale -> weights file.
        published: scale -> published PSNR in decibels.
        images: name of the test set.
    """

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
    Row("IMDN, NTIRE 2022", {4: "modern/imdn_ntire2022_x4.pth"}, {}),
    Row("RFDN, NTIRE 2022", {4: "modern/rfdn_ntire2022_x4.pth"}, {}),
    Row("RLFN, NTIRE 2022", {4: "modern/rlfn_ntire2022_x4.pth"}, {}),
    Row("RLFN-S, the authors", {2: "modern/rlfn_s_x2.pth"}, {}),
    Row("EFDN, NTIRE 2022", {4: "modern/efdn_ntire2022_x4.pth"}, {}),
    Row("FMEN, the authors", {4: "modern/fmen_nju_x4.pt"}, {}),
    Row("BSRN, the authors", {2: "modern/bsrn_x2.pth"}, {}),
    Row("SAFMN++ light, the authors (for AVIF images)", {4: "modern/light_safmnpp_x4.pth"}, {}),
    Row("SPAN of 28 channels, NTIRE 2024", {4: "modern/span_ch28_ntire2024_x4.pth"}, {}),
    Row("SPANF, NTIRE 2025", {4: "modern/spanf_ntire2025_x4.pth"}, {}),
    Row("Compact, Real-ESRGAN animevideov3 (for anime)", {4: "modern/converted_realesr_animevideov3_x4.pth"}, {}),
)


def load(data: Path, row: Row, scale: int) -> Network:
    """Load the weights of a row at one scale."""
    return load_checkpoint(data / "weights" / row.files[scale], scale=scale)


def score(data: Path, row: Row, net: Network) -> Score:
    """Score a network on the images of a row."""
    return means(list(evaluate(from_network(net, network_name(net)), image_files(data / "images" / row.images))))


def measure(data: Path, row: Row, scale: int) -> dict[str, Any]:
    """Return the result of one set of weights at one scale, next to the published one."""
    net = load(data, row, scale)
    values = {"title": row.title, "network": network_name(net), "images": row.images, "scale": scale}
    return {**values, "published_psnr": row.published.get(scale), **asdict(score(data, row, net))}


def cell(row: dict[str, Any]) -> str:
    """Return PSNR in decibels / SSIM, with the published PSNR in parentheses."""
    published = f" ({row['published_psnr']})" if row["published_psnr"] else ""
    return f"{row['psnr']:.2f} / {row['ssim']:.4f}{published}"


def markdown(record: Record) -> str:
    """Return the scores as a table."""
    rows: dict[tuple[str, str], dict[int, str]] = {}
    for row in record.rows:
        rows.setdefault((row["title"], row["images"]), {})[row["scale"]] = cell(row)
    head = ["weights", "images", *(f"x{scale}" for scale in SCALES)]
    return table(head, ([*key, *map(cells.get, SCALES)] for key, cells in rows.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parser("Evaluate published weights on Set5 and Set14.").parse_args(arguments)
    data = data_folder("weights", "images")
    record = Record.start("published")
    for row in ROWS:
        for scale in row.files:
            record.rows.append(measure(data, row, scale))
    print(markdown(record))
    if args.json:
        print(f"written to {record.write(args.json)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

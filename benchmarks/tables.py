"""The generated parts of README.md.

python benchmarks/tables.py           print the table of networks
python benchmarks/tables.py --write   put it into README.md, between its markers
"""

import argparse
import re
from pathlib import Path

import torch

from srblocks import create_network, network_specs

README = Path(__file__).parent.parent / "README.md"
NAMES = {"pre": "pre-upsampling", "post": "post-upsampling", "progressive": "progressive", "iterative": "iterative"}


def count(name: str, scale: int) -> int:
    """Parameters, counted without memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in create_network(name, scale=scale).parameters())


def networks() -> str:
    """One row per registered network."""
    lines = ["| name | paper | framework | images | parameters | sees (LR px) |", "|---|---|---|---|---|---|"]
    for spec in network_specs():
        counts = {scale: count(spec.name, scale) for scale in spec.scales}
        same = len(set(counts.values())) == 1
        scales = ", ".join(f"x{scale}" for scale in spec.scales)
        parameters = ", ".join(f"x{scale} {number:,}" for scale, number in counts.items())
        radii = sorted({geometry.radius for geometry in spec.geometry.values() if geometry.radius is not None})
        sees = "-".join(map(str, dict.fromkeys((radii[0], radii[-1])))) if radii else "all"
        framework = spec.framework_note or NAMES[spec.framework]
        cell = f"{scales}: {counts[spec.scales[0]]:,}" if same else parameters
        lines.append(f"| `{spec.name}` | {spec.paper} | {framework} | {spec.color.upper()} | {cell} | {sees} |")
    return "\n".join(lines)


def replaced(text: str, name: str, content: str) -> str:
    """Put content between the markers of that name."""
    pattern = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"tables.py: README.md has no markers for {name}")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def main() -> None:
    parser = argparse.ArgumentParser(description="Print or write the table of networks.")
    parser.add_argument("--write", action="store_true", help="put it into README.md")
    if parser.parse_args().write:
        README.write_text(replaced(README.read_text(), "networks", networks()))
    else:
        print(networks())


if __name__ == "__main__":
    main()

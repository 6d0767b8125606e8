"""The generated tables of documents.

python benchmarks/tables.py           print them
python benchmarks/tables.py --write   put them between their markers
"""

import argparse
import re
from pathlib import Path

import torch

from srblocks import create_network, network_specs
from srblocks.checkpoints.dialects import DIALECTS

REPOSITORY = Path(__file__).parent.parent
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


def plain(value: object) -> str:
    """A value as a reader would write it."""
    return f"{value:g}" if isinstance(value, float) else repr(value).replace("'", '"')


def layouts() -> str:
    """One row per known layout of weights."""
    lines = ["| network | layout of | implied | to be given |", "|---|---|---|---|"]
    for dialect in DIALECTS:
        implied = [
            f"`{argument}` {(value.__doc__ or '').rstrip('.')}" if callable(value) else f"`{argument}={plain(value)}`"
            for argument, value in dialect.implied.items()
        ]
        unseen = [
            f"`{argument}` ({choices})"
            for argument, choices in dialect.unseen.items()
            if argument not in dialect.implied or callable(dialect.implied[argument])
        ]
        lines.append(f"| `{dialect.network}` | {dialect.source} | {', '.join(implied)} | {', '.join(unseen)} |")
    return "\n".join(lines)


TABLES = {"networks": (networks, "README.md"), "layouts": (layouts, "srblocks/checkpoints/README.md")}


def replaced(text: str, name: str, content: str) -> str:
    """Put content between the markers of that name."""
    pattern = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"tables.py: the document has no markers for {name}")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def main() -> None:
    parser = argparse.ArgumentParser(description="Print or write the generated tables.")
    parser.add_argument("--write", action="store_true", help="put them into their documents")
    write = parser.parse_args().write
    for name, (table, document) in TABLES.items():
        path = REPOSITORY / document
        if write:
            path.write_text(replaced(path.read_text(), name, table()))
        else:
            print(table(), end="\n\n")


if __name__ == "__main__":
    main()

"""Machine-independent figures of every network: parameters, multiply-accumulates, memory, exported graphs.

    python benchmarks/figures.py [NETWORK ...]            compare with benchmarks/results/figures.json
    python benchmarks/figures.py --write [NETWORK ...]    update the file

For each network at each scale: parameters, multiply-accumulates and peak activation memory for 48x72 pixels (or the
next valid size). At the smallest scale, also the last two after `srblocks.optimize`, and the nodes and bytes of the
ONNX file of the shallow network, which are compared only if torch and the ONNX libraries have the recorded versions.
"""

import argparse
import contextlib
import multiprocessing
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path

import torch

import environment
from formatting import table
from operations import work
from record import Record
from srblocks import list_networks, optimize
from srblocks._utils.memory import peak_bytes
from srblocks._utils.rounding import round_up
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks.registry import NetworkSpec
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS

FILE = "figures.json"
SIDES = 48, 72
NODES, BYTES = "graph nodes", "artifact bytes"
TOOLS = ("torch", "onnx", "onnxscript", "onnx-ir")
"""Packages that the ONNX figures depend on."""

Figures = dict[str, int]


def tool_versions() -> dict[str, str]:
    """Return the release versions of the installed tools, without local version labels."""
    found: dict[str, str] = {}
    for package in TOOLS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package).partition("+")[0]
    return found


def input_shape(net: Network) -> tuple[int, int, int, int]:
    """Return the shape of the images for which the figures of a network are counted."""
    height, width = (round_up(max(side, net.min_size), net.size_multiple) for side in SIDES)
    return 1, net.image_channels, height, width


def original_figures(spec: NetworkSpec, scale: int) -> Figures:
    """Return the figures of the network at its published size, on the meta device."""
    with torch.device("meta"):
        net = spec.create(scale=scale).eval()
    shape = input_shape(net)
    return {
        f"parameters x{scale}": sum(parameter.numel() for parameter in net.parameters()),
        f"MACs x{scale}": work(net, shape).macs,
        f"peak bytes x{scale}": peak_bytes(net, shape),
    }


def optimized_figures(spec: NetworkSpec, scale: int) -> Figures:
    """Return the figures of the optimized network."""
    torch.manual_seed(0)
    net = optimize(spec.create(scale=scale).eval())
    shape = input_shape(net)
    return {
        f"optimized MACs x{scale}": work(net, shape).macs,
        f"optimized peak bytes x{scale}": peak_bytes(net, shape),
    }


def onnx_figures(spec: NetworkSpec) -> Figures:
    """Return nodes and bytes of the ONNX file of the shallow optimized network; empty if it cannot be exported.

    The length of torch's build name, which differs between machines, is subtracted.
    """
    if FORMATS["onnx"].missing():
        return {}
    import onnx  # noqa: PLC0415 (optional library)

    torch.manual_seed(0)
    net = spec.create(scale=spec.default_scale, **spec.reduced).eval()
    with tempfile.TemporaryDirectory(prefix="srblocks-") as folder:
        config = ExportConfig(formats=("onnx",), out=Path(folder), name=spec.name, verify="off")
        for report in export_network(net, config):
            if report.error:
                raise report.error
        path = config.out / f"{spec.name}{FORMATS['onnx'].suffix}"
        model = onnx.load(path)
        return {NODES: len(model.graph.node), BYTES: path.stat().st_size - len(model.producer_version)}


def figures(name: str) -> Figures:
    """Return all figures of one network."""
    spec = network_spec(name)
    found = {key: value for scale in spec.scales for key, value in original_figures(spec, scale).items()}
    return found | optimized_figures(spec, spec.default_scale) | onnx_figures(spec)


def all_figures(names: Iterable[str]) -> dict[str, Figures]:
    """Return the figures of networks, computed on all cores."""
    names = list(names)
    workers = min(environment.cores(), len(names))
    if workers < 2:
        return {name: figures(name) for name in names}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return dict(zip(names, pool.map(figures, names), strict=True))


def differences(
    recorded: Mapping[str, Figures], found: Mapping[str, Figures], *, same_tools: bool
) -> Iterator[tuple[str, str, int | None, int | None]]:
    """Yield network, figure, recorded and current value where they differ; networks without a record are skipped."""
    for network, current in found.items():
        if network not in recorded:
            continue
        known = recorded[network]
        for figure in {**known, **current}:
            compared = same_tools or figure not in (NODES, BYTES)
            if compared and known.get(figure) != current.get(figure):
                yield network, figure, known.get(figure), current.get(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if a figure differs from the file."""
    command = argparse.ArgumentParser(description="Compare the machine-independent figures with the committed ones.")
    command.add_argument("networks", nargs="*", metavar="NETWORK", help="default: all")
    command.add_argument("--write", action="store_true", help="update benchmarks/results/figures.json")
    args = command.parse_args(arguments)
    record, versions = Record.read(FILE), tool_versions()
    recorded = {row["network"]: row["figures"] for row in record.rows}
    registered = list_networks()
    try:
        names = [network_spec(name).name for name in args.networks or registered]
    except ValueError as error:
        command.error(str(error))
    found = all_figures(names)
    same_tools = record.environment["versions"] == versions
    changed = list(differences(recorded, found, same_tools=same_tools or args.write))
    changed += [(name, "", None, None) for name in recorded if name not in registered]
    rows = [[network, figure or "removed", before, now] for network, figure, before, now in changed]
    print(table(["network", "figure", "recorded", "now"], rows) if rows else f"{len(names)} networks: no differences")
    if new := [name for name in found if name not in recorded]:
        print(f"{'recorded' if args.write else 'not recorded yet'}: {', '.join(new)}")
    if not same_tools:
        outcome = "updated" if args.write else "not compared"
        print(f"ONNX figures {outcome}: recorded with {record.environment['versions']}")
    if not args.write:
        if changed:
            print(f"if intended, run: python benchmarks/figures.py --write {' '.join(args.networks)}")
        return int(bool(changed))
    if args.networks and not same_tools:
        raise SystemExit("figures.py: tool versions differ from the record; update all networks")
    if missing := sorted(set(TOOLS) - set(versions)):
        raise SystemExit(f'figures.py: --write requires {", ".join(missing)}; pip install -e ".[onnx]"')
    merged = {name: row for name, row in {**recorded, **found}.items() if name in registered}
    record.environment = {"versions": versions}
    record.rows = [{"network": name, "figures": merged[name]} for name in sorted(merged)]
    print(f"written to {record.save(FILE)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

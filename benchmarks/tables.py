"""Generated tables of the documentation.

    python benchmarks/tables.py           print all tables
    python benchmarks/tables.py --write   write them between their markers in the documents

A marker is an HTML comment ``<!-- name: ... -->`` and ends with ``<!-- end -->``. Any Markdown document of the
repository may contain any table.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import fp16
import latency
import peers
import rewrites
import tradeoff
import upscaling
from formatting import table
from measure import size_of
from record import RESULTS, Record, measured_on
from srblocks import create_network, optimize
from srblocks.checkpoints.layouts import LAYOUTS
from srblocks.networks import network_specs
from srblocks.rewrites import REWRITES

REPOSITORY = Path(__file__).parent.parent
FOLDERS = (".", "docs", "benchmarks", "export", "srblocks/*")
FRAMEWORKS = {
    "pre": "pre-upsampling",
    "post": "post-upsampling",
    "progressive": "progressive",
    "iterative": "iterative",
}
IN_README = ("fsrcnn", "espcn", "vdsr", "carn", "edsr_baseline", "rcan")
"""Networks in the README's table: small to large, with and without a speedup from the rewrites."""
ENGINES = ("onnxruntime", "openvino", "tensorrt")


def parameter_count(name: str, scale: int) -> int:
    """Return the number of parameters of a network, without allocating them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in create_network(name, scale=scale).parameters())


def networks() -> str:
    """Return one row per registered network."""
    rows = []
    for spec in network_specs():
        counts = {scale: parameter_count(spec.name, scale) for scale in spec.scales}
        scales = ", ".join(f"x{scale}" for scale in spec.scales)
        same = len(set(counts.values())) == 1
        parameters = ", ".join(f"x{scale} {number:,}" for scale, number in counts.items())
        radii = sorted({sizes.radius for sizes in spec.size_requirements.values() if sizes.radius is not None})
        receptive = "-".join(map(str, dict.fromkeys((radii[0], radii[-1])))) if radii else "global"
        framework = spec.framework_note or FRAMEWORKS[spec.framework]
        cell = f"{scales}: {counts[spec.scales[0]]:,}" if same else parameters
        rows.append([f"`{spec.name}`", spec.paper, framework, spec.color.upper(), cell, receptive])
    return table(["name", "paper", "framework", "images", "parameters", "receptive radius (LR px)"], rows)


def literal(value: object) -> str:
    """Return the Python literal of a value, with double quotes."""
    return f"{value:g}" if isinstance(value, float) else repr(value).replace("'", '"')


def layouts() -> str:
    """Return one row per known checkpoint layout."""
    rows = []
    for layout in LAYOUTS:
        defaults = [
            f"`{argument}` {(value.__doc__ or '').rstrip('.')}" if callable(value) else f"`{argument}={literal(value)}`"
            for argument, value in layout.defaults.items()
        ]
        required = [
            f"`{argument}` ({choices})"
            for argument, choices in layout.required.items()
            if argument not in layout.defaults or callable(layout.defaults[argument])
        ]
        rows.append([f"`{layout.network}`", layout.source, ", ".join(defaults), ", ".join(required)])
    return table(["network", "layout of", "defaults", "required arguments"], rows)


def applied() -> str:
    """Return one row per rewrite with its summary and the networks to which it applies."""
    found: dict[str, list[str]] = {name: [] for name in REWRITES}
    for spec in network_specs():
        report = optimize(spec.create(scale=spec.default_scale, **spec.reduced)).rewrites
        for name in {decision.rewrite for decision in report.applied} if report else ():
            found[name].append(f"`{spec.name}`")
    rows = []
    for name, rewrite in REWRITES.items():
        summary = " ".join((sys.modules[rewrite.__module__].__doc__ or "").partition("\n\n")[0].split())
        rows.append([f"`{name}`", summary, ", ".join(found[name]) or "custom networks"])
    return table(["rewrite", "effect", "networks"], rows)


def rewrite_speedups() -> str:
    """Return the speedup from the rewrites per case and backend."""
    record = Record.read("rewrites-cpu.json")
    return (
        f"{rewrites.markdown(record)}\n\nSpeedup of the optimized over the original network in the same backend, "
        "median over interleaved rounds; * noisy. Memory: reduction of the peak activation memory at 256x256. "
        f"{measured_on(record.environment, *ENGINES)}"
    )


def half_precision() -> str:
    """Return the accuracy of half precision with trained weights."""
    record = Record.read("fp16.json")
    seconds, side, about = record.parameters["seconds"], record.parameters["side"], record.environment
    times = {name: seconds[name] / seconds["fp32"] for name in fp16.HALVES}
    return (
        f"{fp16.markdown(record, 'trained')}\n\nWorst image of Set5, cropped to the central {side}x{side} low-res "
        f"pixels because fp16 took {times['fp16']:.1f}x the CPU time of float32 (bf16: {times['bf16']:.1f}x). "
        f"{measured_on({key: value for key, value in about.items() if key != 'threads'})}"
    )


def random_half_precision() -> str:
    """Return the accuracy of half precision with random weights."""
    return fp16.markdown(Record.read("fp16.json"), "random")


def latencies() -> str:
    """Return the fastest backends per network and input size on the CPU."""
    record = Record.read("latency-cpu.json")
    return f"{latency.summary(record.rows)}\n\n{_latency_note(record)}"


def speed() -> str:
    """Return the fastest backends of a few networks for one small image."""
    record = Record.read("latency-cpu.json")
    rows = [row for row in record.rows if row["network"] in IN_README and size_of(row) == "1x64x64"]
    return f"{latency.summary(rows)}\n\n{_latency_note(record)}"


def _latency_note(record: Record) -> str:
    return (
        'Speedups are relative to the original network in eager fp32. "Rewrites alone" is the optimized network in '
        "eager fp32; the last columns add the fastest backend. Medians, * noisy. "
        f"{measured_on(record.environment, *ENGINES)}"
    )


def latency_details() -> str:
    """Return every latency measurement on the CPU."""
    record = Record.read("latency-cpu.json")
    return f"{latency.details(record.rows)}\n\n{measured_on(record.environment, *ENGINES)}"


def tradeoffs() -> str:
    """Return PSNR and latency of modern networks."""
    environment = Record.read(tradeoff.LATENCY).environment
    return f"{tradeoff.markdown()}\n\n{measured_on(environment, *ENGINES)}"


def gpu_latencies() -> str:
    """Return the fastest backends on a GPU, or how to measure them."""
    if not (RESULTS / "latency-gpu.json").is_file():
        command = "python benchmarks/latency.py --device cuda --json latency-gpu.json --chart latency-gpu.png"
        return f"Not measured yet. To measure on a GPU, run `{command}` and `python benchmarks/tables.py --write`."
    record = Record.read("latency-gpu.json")
    return f"{latency.summary(record.rows)}\n\n{_latency_note(record)}"


def peer_summary() -> str:
    """Return the comparison with other libraries, one row per case."""
    record = Record.read("peers-cpu.json")
    notes = "\n".join(f"- {note}" for note in record.notes)
    return f"{peers.summary(record.rows)}\n\n{notes}\n\n{measured_on(record.environment, *ENGINES)}"


def peer_details() -> str:
    """Return every comparison with other libraries."""
    return peers.details(Record.read("peers-cpu.json").rows)


def memory() -> str:
    """Return the peak memory when upscaling a large photograph."""
    record = Record.read("upscaling-cpu.json")
    return f"{upscaling.memory_markdown(record)}\n\n{measured_on(record.environment, *ENGINES)}"


def approximation() -> str:
    """Return the approximation error of tiles for networks with a global receptive field."""
    return upscaling.approximation_markdown(Record.read("upscaling-cpu.json"))


TABLES: dict[str, Callable[[], str]] = {
    "networks": networks,
    "layouts": layouts,
    "applied": applied,
    "rewrites": rewrite_speedups,
    "speed": speed,
    "latency": latencies,
    "tradeoff": tradeoffs,
    "latency-gpu": gpu_latencies,
    "latency-details": latency_details,
    "peers": peer_summary,
    "peers-details": peer_details,
    "memory": memory,
    "approximation": approximation,
    "fp16": half_precision,
    "fp16-random": random_half_precision,
}
_MARKED = re.compile(r"(<!-- ([\w-]+): written by .*? -->\n).*?(<!-- end -->)", re.DOTALL)


def documents() -> Iterator[Path]:
    """Yield the Markdown documents that may contain tables."""
    for folder in FOLDERS:
        yield from sorted(REPOSITORY.glob(f"{folder}/*.md"))


def updated(text: str, tables: dict[str, str]) -> str:
    """Return a document with its tables filled in; `tables` caches rendered tables.

    Raises:
        SystemExit: a marker names an unknown table.
    """

    def content(match: re.Match[str]) -> str:
        name = match[2]
        if name not in TABLES:
            raise SystemExit(f"tables.py: unknown table {name!r}; available: {', '.join(TABLES)}")
        if name not in tables:
            tables[name] = TABLES[name]()
        return f"{match[1]}{tables[name]}\n{match[3]}"

    return _MARKED.sub(content, text)


def main() -> None:
    """Run the command."""
    command = argparse.ArgumentParser(description="Print or write the generated tables.")
    command.add_argument("--write", action="store_true", help="write them between their markers in the documents")
    if not command.parse_args().write:
        for name, render in TABLES.items():
            print(f"<!-- {name} -->\n{render()}\n")
        return
    tables: dict[str, str] = {}
    for path in documents():
        text = path.read_text()
        if (new := updated(text, tables)) != text:
            path.write_text(new)
            print(f"updated {path.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()

"""The generated tables of documents.

python benchmarks/tables.py           print them
python benchmarks/tables.py --write   put them between their markers
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import torch

import fp16
import peers
import upscaling
from harness import environment, files, latency
from harness.standings import standings_markdown
from srblocks import create_network, optimize
from srblocks.checkpoints.layouts import LAYOUTS
from srblocks.networks import network_specs
from srblocks.rewrites import REWRITES

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
        rows = spec.size_requirements.values()
        radii = sorted({row.radius for row in rows if row.radius is not None})
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
    for layout in LAYOUTS:
        implied = [
            f"`{argument}` {(value.__doc__ or '').rstrip('.')}" if callable(value) else f"`{argument}={plain(value)}`"
            for argument, value in layout.defaults.items()
        ]
        unseen = [
            f"`{argument}` ({choices})"
            for argument, choices in layout.required.items()
            if argument not in layout.defaults or callable(layout.defaults[argument])
        ]
        lines.append(f"| `{layout.network}` | {layout.source} | {', '.join(implied)} | {', '.join(unseen)} |")
    return "\n".join(lines)


def applied() -> str:
    """One row per rewrite: what it does, and to which networks."""
    lines = ["| rewrite | what it does | networks |", "|---|---|---|"]
    found: dict[str, list[str]] = {name: [] for name in REWRITES}
    for spec in network_specs():
        report = optimize(spec.create(scale=min(spec.scales), **spec.reduced)).rewrites
        for name in {decision.rewrite for decision in report.applied} if report else ():
            found[name].append(f"`{spec.name}`")
    for name, rewrite in REWRITES.items():
        title = " ".join((sys.modules[rewrite.__module__].__doc__ or "").partition("\n\n")[0].split())
        lines.append(f"| `{name}` | {title} | {', '.join(found[name]) or 'networks of your own'} |")
    return "\n".join(lines)


def rewrites() -> str:
    """One row per network and size of the committed measurement: what the rewrites gain."""
    return gains(files.read("rewrites-cpu.json"))


def gains(result: dict[str, Any]) -> str:
    """A measurement as a table of ratios, and what it ran on."""
    memory = {(row["network"], row["scale"]): f"{row['ratio']:.2f}" for row in result["memory"]}
    engines = list(dict.fromkeys(row["engine"] for row in result["rows"]))
    lines = [f"| network | input | {' | '.join(engines)} | memory |", f"|{'---|' * (len(engines) + 3)}"]
    cells: dict[tuple[str, int, str], dict[str, str]] = {}
    for row in result["rows"]:
        key = row["network"], row["scale"], row["size"]
        cells.setdefault(key, {})[row["engine"]] = f"{row['ratio']['median']:.2f}" + "*" * row["noisy"]
    for (network, scale, size), ratios in cells.items():
        times = " | ".join(ratios.get(engine, "") for engine in engines)
        lines.append(f"| {network} x{scale} | {size} | {times} | {memory.get((network, scale), '')} |")
    about, load = result["environment"], result["load"]
    versions = ", ".join(f"{name} {about['versions'][name]}" for name in ("torch", "onnxruntime", "openvino"))
    cpu = f"{about['cpu']['name']} with {', '.join(about['cpu']['flags'])}"
    lines += [
        "",
        "Time: median over interleaved rounds of plain / optimized; * marks noisy rows. Memory: peak bytes of "
        f"activations at 256x256, plain / optimized. On {cpu}, {about['threads']} thread, {versions}, load average "
        f"{load['before']} before and {load['after']} after.",
    ]
    return "\n".join(lines)


def halves() -> str:
    """One row per set of weights of the committed measurement: what half precision costs, and what it ran on."""
    result = files.read("fp16.json")
    about, side = result["environment"], result["side"]
    longer = {name: result["seconds"][name] / result["seconds"]["fp32"] for name in fp16.HALVES}
    lines = [
        fp16.markdown(result["weights"]),
        "",
        f"The worst of Set5's images, of each the middle {side}x{side} low-resolution pixels (all there are, where a "
        f"side has fewer). No more, because fp16 took {longer['fp16']:.1f} times the processor time of float32 (bf16: "
        f"{longer['bf16']:.1f}) on {about['cpu']['name']} with {', '.join(about['cpu']['flags'])}, torch "
        f"{about['versions']['torch']}.",
    ]
    return "\n".join(lines)


def drawn_halves() -> str:
    """The same of drawn weights."""
    return fp16.markdown(files.read("fp16.json")["drawn"])


def machine(env: dict[str, Any]) -> str:
    """What a latency measurement ran on, in a sentence."""
    cpu = f"{env['cpu']} with {', '.join(env['flags'])}, {env['threads']} thread{'s' * (env['threads'] > 1)}"
    names = {"torch": "torch", "ort": "onnxruntime", "trt": "TensorRT"}
    versions = [f"{name} {env[key]}" for key, name in names.items() if env[key]]
    versions += [f"openvino {env['versions']['openvino']}"] if "openvino" in env["versions"] else []
    load = env["loadavg"]
    gpu = f"{env['gpu']}, driver {env['driver']}" if env["gpu"] else ""
    return f"{gpu or cpu}, {', '.join(versions)}, load average {load['before']} before and {load['after']} after."


def latencies() -> str:
    """One row per network and input of the committed measurement on a CPU."""
    result = files.read("latency-cpu.json")
    return f"{latency.best(result)}\n\nMedians, * noisy. On {machine(result['env'])}"


def quickest() -> str:
    """The same of one small image."""
    result = files.read("latency-cpu.json")
    cases = [case for case in result["cases"] if latency.size(case) == "1x64x64"]
    return f"{latency.best(result | {'cases': cases})}\n\nMedians, * noisy. On {machine(result['env'])}"


def every_latency() -> str:
    """Every row of it."""
    result = files.read("latency-cpu.json")
    return f"{latency.markdown(result['cases'])}\n\nOn {machine(result['env'])}"


def gpu_latencies() -> str:
    """The same on a GPU, or how to get it."""
    if not (files.RESULTS / "latency-gpu.json").is_file():
        command = "python benchmarks/latency.py --device cuda --json latency-gpu.json --chart latency-gpu.png"
        told = "then `python benchmarks/tables.py --write`, fills this table."
        return f"On a GPU: not measured yet, none was at hand. `{command}`, {told}"
    result = files.read("latency-gpu.json")
    return f"{latency.best(result)}\n\nMedians, * noisy. On {machine(result['env'])}"


def standings() -> str:
    """What srblocks and its peers reach, one row per network."""
    result = files.read("peers-cpu.json")
    notes = "\n".join(f"- {note}" for note in result["notes"])
    load = f"average {result['load']['before']} before and {result['load']['after']} after"
    ran = environment.headline(result["environment"] | {"load": load})
    return f"{standings_markdown(result['verdicts'])}\n\n{notes}\n\nOn {ran}."


def verdicts() -> str:
    """Every contest, and every candidate."""
    candidates, contests = peers.markdown(files.read("peers-cpu.json"))
    return f"{contests}\n\n{candidates}"


def memory() -> str:
    """What enlarging a large photograph takes, and what it ran on."""
    result = files.read("upscaling-cpu.json")
    return f"{upscaling.memory_markdown(result['memory'])}\n\nOn {upscaling.ran_on(result)}."


def approximation() -> str:
    """What tiles change where a network sees the whole image."""
    return upscaling.approximation_markdown(files.read("upscaling-cpu.json")["approximation"])


TABLES = {
    "networks": (networks, "docs/networks.md"),
    "layouts": (layouts, "srblocks/checkpoints/README.md"),
    "applied": (applied, "srblocks/rewrites/README.md"),
    "rewrites": (rewrites, "srblocks/rewrites/README.md"),
    "quickest": (quickest, "README.md"),
    "latency": (latencies, "benchmarks/README.md"),
    "latency-gpu": (gpu_latencies, "benchmarks/README.md"),
    "latencies": (every_latency, "benchmarks/README.md"),
    "standings": (standings, "benchmarks/README.md"),
    "peers": (verdicts, "benchmarks/README.md"),
    "memory": (memory, "docs/upscaling.md"),
    "approximation": (approximation, "docs/upscaling.md"),
    "fp16": (halves, "srblocks/precision/README.md"),
    "fp16-drawn": (drawn_halves, "srblocks/precision/README.md"),
}


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

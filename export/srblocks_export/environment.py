"""``--check-env`` and ``--list``: the formats that can be built on this machine, and the networks."""

import importlib.util
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from srblocks._utils.console import standard_output

from .formats import FORMATS, cxx_compiler
from .formats.tensorrt.trt_engine import TENSORRT_RTX

_PACKAGES = (
    *("srblocks", "torch", "einops", "numpy", "safetensors"),
    *("onnx", "onnxscript", "onnxruntime", "tensorrt", "tensorrt_rtx", "torch_tensorrt"),
)


def survey() -> dict[str, Any]:
    """Return versions, devices and the state of every format as plain data."""
    owners = metadata.packages_distributions()
    modules = {name: name for name in _PACKAGES} | {"tensorrt_rtx": TENSORRT_RTX.module or "tensorrt_rtx"}
    packages = {name: _version(module, owners) for name, module in modules.items()}
    import torch

    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    formats: dict[str, dict[str, Any]] = {}
    for name, row in FORMATS.items():
        found, to_run = row.missing(), row.missing(build=False)
        formats[name] = {"ready": not found, "missing": found.what if found else None}
        formats[name] |= {"remedy": found.remedy if found else None, "missing_to_run": to_run.what if to_run else None}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "cuda_device": cuda,
        "cxx_compiler": cxx_compiler(),
        "formats": formats,
    }


def _version(name: str, owners: Mapping[str, Sequence[str]]) -> str | None:
    """Return the version of an importable module, whatever its distribution is called; None if there is none."""
    if importlib.util.find_spec(name) is None:
        return None
    return metadata.version(owners[name][0]) if name in owners else "installed"


def check_environment(formats: Sequence[str], *, as_json: bool) -> int:
    """Print the survey; return 0 if every named format (or any, if none is named) can be built, else 4."""
    found = survey()
    with standard_output():
        if as_json:
            print(json.dumps(found, indent=2))
        else:
            _show(found)
    wanted = [found["formats"][name]["ready"] for name in formats]
    possible = all(wanted) if wanted else any(state["ready"] for state in found["formats"].values())
    return 0 if possible else 4


def _show(found: Mapping[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("python", found["python"])
    for name, version in found["packages"].items():
        table.add_row(name, version or "[yellow]not installed[/]")
    table.add_row("CUDA device", found["cuda_device"] or "none")
    table.add_row("C++ compiler", found["cxx_compiler"] or "none")
    table.add_row()
    for name, state in found["formats"].items():
        problem = f"[red]{escape(str(state['missing']))}[/]: {escape(str(state['remedy']))}"
        not_run = f", but not run: {escape(state['missing_to_run'])}" if state["missing_to_run"] else ""
        table.add_row(f"--{name}", f"[green]can be built here[/]{not_run}" if state["ready"] else problem)
    _print(table)


def list_networks(*, as_json: bool) -> int:
    """Print the table of networks; return 0."""
    from rich.table import Table

    from srblocks.networks import network_specs
    from srblocks.pretrained import list_pretrained

    specs = network_specs()
    bundled = {stem.rpartition("_x")[0] for stem in list_pretrained()}
    networks = Table("network", "framework", "scales", "images", "weights", "paper", box=None, pad_edge=False)
    for spec in specs:
        scales = ", ".join(f"x{scale}" for scale in spec.scales)
        weights = "bundled" if spec.name in bundled else ""
        networks.add_row(spec.name, spec.framework, scales, spec.color.upper(), weights, spec.paper)
    with standard_output():
        if as_json:
            print(json.dumps({spec.name: {"paper": spec.paper, "scales": spec.scales} for spec in specs}, indent=2))
        else:
            _print(networks)
    return 0


def _print(table: Any) -> None:
    """Print a table; without wrapping if the output is not a terminal."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(table)

"""`--check-env`: what can be built on this machine, and what would have to be installed."""

import importlib.util
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from .console import standard_output
from .formats import FORMATS, compiler

_PACKAGES = (
    *("srblocks", "torch", "einops", "numpy", "safetensors"),
    *("onnx", "onnxscript", "onnxruntime", "tensorrt", "torch_tensorrt"),
)


def survey() -> dict[str, Any]:
    """Give versions, devices and the state of every format, as plain data."""
    owners = metadata.packages_distributions()
    packages = {name: _version(name, owners) for name in _PACKAGES}
    import torch

    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    formats = {
        name: {"ready": not found, "missing": found.what if found else None, "remedy": found.remedy if found else None}
        for name, found in ((name, row.missing()) for name, row in FORMATS.items())
    }
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "cuda_device": cuda,
        "cxx_compiler": compiler(),
        "formats": formats,
    }


def _version(name: str, owners: Mapping[str, Sequence[str]]) -> str | None:
    """Version of a module that can be imported, whichever distribution it comes from; None where there is none."""
    if importlib.util.find_spec(name) is None:
        return None
    return metadata.version(owners[name][0]) if name in owners else "installed"


def check_environment(formats: Sequence[str], *, as_json: bool) -> int:
    """Print the survey; give 0 when every named format (or, with none named, any) can be built, else 4."""
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
    from rich.console import Console
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
        table.add_row(f"--{name}", "[green]can be built here[/]" if state["ready"] else problem)
    Console().print(table)

"""What `srblocks-export` does once its arguments are parsed; importing this imports torch."""

import contextlib
import json
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from srblocks.networks import network_specs

from .config import ExportConfig, ModelSource
from .console import echo_error, standard_output
from .export import export_network, plan_export
from .formats import FORMATS
from .manifest import SCHEMA
from .report import ArtifactReport, exit_code, table
from .source import open_network


def export(source: ModelSource, request: ExportConfig, *, as_json: bool, quiet: bool) -> int:
    """Export and report; give the exit code."""
    console = Console(stderr=as_json, quiet=quiet, highlight=False)
    if not console.is_terminal:
        console.width = 120
    with console.status("network") if console.is_terminal else contextlib.nullcontext() as status:
        net, remarks = open_network(source)
        options = {"progress": status.update} if status else {}
        reports = export_network(net, request, warnings=remarks, **options)
    warnings = [warning for report in reports if report.entry for warning in report.entry["warnings"]]
    for remark in dict.fromkeys([*remarks, *warnings]):
        echo_error(remark)
    code = exit_code(reports)
    with contextlib.suppress(OSError) if as_json else standard_output():  # beside a report nobody need read it
        _show(reports, console)
    if as_json:
        artifacts = [report.to_json() for report in reports]
        with standard_output():
            print(json.dumps({"schema": SCHEMA, "exit_code": code, "artifacts": artifacts}, indent=2))
    return code


def _show(reports: Sequence[ArtifactReport], console: Console) -> None:
    console.print(table([*reports]))
    for report in reports:
        if report.error:
            echo_error(report.error)
    if any(report.error and report.error.exit_code == 4 for report in reports if report.format == "trt"):
        for line in _elsewhere(reports):
            console.print(line, markup=False, soft_wrap=True)
    done = next((report.path for report in reports if not report.error), None)
    if done:
        console.print(
            f'use it: from srblocks_export import runtime; sr = runtime.load("{escape(str(done))}")(lr)', soft_wrap=True
        )


def _elsewhere(reports: Sequence[ArtifactReport]) -> Iterator[str]:
    """Give the commands that build the engine where TensorRT is, from the ONNX file that is there."""
    for report in reports:
        lines = report.entry["artifact"].get("trtexec", {}) if report.entry and not report.error else {}
        for version, line in lines.items():
            yield f"TensorRT {version}: {line}"
        if lines and report.path:
            yield f"any of them: python -m srblocks_export.formats.tensorrt.trt_engine {report.path.name}"


def dry_run(source: ModelSource, request: ExportConfig, *, as_json: bool) -> int:
    """Say what an export would write and whether it can; give the exit code that it would give before building."""
    net, remarks = open_network(source)
    plan = plan_export(net, request)
    absent = {name: FORMATS[name].missing(device=request.device) for name in request.formats}
    missing = {name: found and found.what for name, found in absent.items()}
    code = 4 if any(missing.values()) else 0
    with standard_output():
        if as_json:
            files = {name: {"file": str(plan.paths[name]), "missing": missing[name]} for name in request.formats}
            facts = {"schema": SCHEMA, "exit_code": code, "network": type(net).__name__}
            facts |= {"input": plan.shapes.to_manifest(), "rewrites": plan.description["rewrites"]}
            facts |= {"precision": plan.description["precision"], "files": files}
            print(json.dumps(facts, indent=2))
            return code
        print(f"{type(net).__name__} x{net.scale}, input {plan.shapes}")
        if plan.net.rewrites:
            print(plan.net.rewrites)
        for remark in [*remarks, *plan.warnings]:
            echo_error(remark)
        for name, path in plan.paths.items():
            print(f"{name}: {path}" + (f" (cannot be built here: {missing[name]})" if missing[name] else ""))
    return code


def list_networks(*, as_json: bool) -> int:
    """Print the table of networks; give the exit code."""
    specs = network_specs()
    networks = Table("network", "framework", "scales", "images", "paper", box=None, pad_edge=False)
    for spec in specs:
        scales = ", ".join(f"x{scale}" for scale in spec.scales)
        networks.add_row(spec.name, spec.framework, scales, spec.color.upper(), spec.paper)
    with standard_output():
        if as_json:
            print(json.dumps({spec.name: {"paper": spec.paper, "scales": spec.scales} for spec in specs}, indent=2))
        else:
            Console().print(networks)
    return 0

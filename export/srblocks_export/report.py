"""Results of an export, for the terminal and as JSON."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srblocks._utils.console import echo_error, standard_output

from .errors import ExportError
from .formats import FORMATS
from .manifest import SCHEMA, Manifest, VerificationInfo

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from srblocks.network import Network

    from .config import ExportConfig
    from .export import Plan

_PREFIX = "srblocks-export: "


@dataclass(frozen=True, kw_only=True)
class ArtifactReport:
    """The result of one format.

    Attributes:
        format: name of the format.
        path: the artifact, or the rejected file; None if nothing was written.
        manifest: its manifest; None if nothing was written.
        error: why it failed; None if the artifact was written and verified.
        seconds: time to export and verify.
    """

    format: str
    path: Path | None = None
    manifest: Manifest | None = None
    error: ExportError | None = None
    seconds: float = 0.0

    @property
    def verification(self) -> VerificationInfo | None:
        """Results of the comparison; None if the verification was off or not reached."""
        return self.manifest.verification if self.manifest else None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return {
            "format": self.format,
            "file": str(self.path) if self.path else None,
            "error": str(self.error) if self.error else None,
            "exit_code": self.error.exit_code if self.error else 0,
            "seconds": round(self.seconds, 2),
            "manifest": self.manifest.to_dict() if self.manifest else None,
        }


def exit_code(reports: Sequence[ArtifactReport]) -> int:
    """Return the exit code of the first format that failed; 0 if none did."""
    return next((report.error.exit_code for report in reports if report.error), 0)


def show(reports: Sequence[ArtifactReport], warnings: Sequence[str], console: "Console", *, as_json: bool) -> int:
    """Print the results; return the exit code."""
    found = [warning for report in reports if report.manifest for warning in report.manifest.warnings]
    for warning in dict.fromkeys([*warnings, *found]):
        echo_error(f"{_PREFIX}{warning}")
    code = exit_code(reports)
    # With --json the table goes to standard error, where a failed write must not end the command.
    with contextlib.suppress(OSError) if as_json else standard_output():
        console.print(table(reports))
        for report in reports:
            if report.error:
                echo_error(f"{_PREFIX}{report.error}")
        for line in _hints(reports):
            console.print(line, markup=False, soft_wrap=True)
    if as_json:
        artifacts = [report.to_dict() for report in reports]
        with standard_output():
            print(json.dumps({"schema": SCHEMA, "exit_code": code, "artifacts": artifacts}, indent=2))
    return code


def _hints(reports: Sequence[ArtifactReport]) -> Iterator[str]:
    """Yield the next steps: how to build elsewhere what cannot be built here, and how to run the first artifact."""
    done = {report.format: report for report in reports if not report.error}
    for report in reports:
        source = done.get(FORMATS[report.format].source or "")
        if report.error and report.error.exit_code == 4 and source and source.manifest and source.manifest.artifact:
            yield from FORMATS[report.format].hints(source.manifest.artifact)
    for report in done.values():
        yield f'use it: import srblocks_export; sr = srblocks_export.load("{report.path}")(lr)'
        return


def table(reports: Sequence[ArtifactReport]) -> "Table":
    """Return the results as a table for the terminal; errors are relative to the output's standard deviation."""
    from rich.markup import escape
    from rich.table import Table

    summary = Table(box=None, pad_edge=False)
    for column in ("", "artifact", "size", "verified at", "max error", "seconds"):
        summary.add_column(column, overflow="fold")
    for report in reports:
        cases = report.verification.cases if report.verification else ()
        worst = report.verification.max_error if report.verification else None
        file = report.manifest.artifact if report.manifest else None
        summary.add_row(
            "[red]failed[/]" if report.error else "[green]ok[/]",
            escape(report.path.name) if report.path else report.format,
            f"{file.bytes / 1000:,.0f} kB" if file else "-",
            ", ".join(short_size(case.shape) for case in cases) or _unexecuted(report.verification),
            "-" if worst is None else f"{worst:.1e}",
            f"{report.seconds:.1f}",
        )
    return summary


def _unexecuted(verification: VerificationInfo | None) -> str:
    return "not verified" if verification is None or verification.executed else verification.status


def short_size(shape: Sequence[int]) -> str:
    """Return the size of a batch of images as text, such as ``17x23`` or ``2 of 24x40``."""
    batch, _, height, width = shape
    return f"{height}x{width}" if batch == 1 else f"{batch} of {height}x{width}"


def show_plan(net: "Network", plan: "Plan", config: "ExportConfig", warnings: Sequence[str], *, as_json: bool) -> int:
    """Print what an export would write; return the exit code that it would have before any build."""
    absent = {name: FORMATS[name].missing(device=config.device) for name in config.formats}
    missing = {name: found and found.what for name, found in absent.items()}
    code = 4 if any(missing.values()) else 0
    data = plan.manifest.to_dict()
    with standard_output():
        if as_json:
            files = {
                name: {"file": str(path), "missing": missing[name], "input": plan.shapes[name].to_dict()}
                for name, path in plan.paths.items()
            }
            facts = {"schema": SCHEMA, "exit_code": code, "network": type(net).__name__}
            facts |= {"input": plan.widest.to_dict(), "rewrites": data["rewrites"]}
            facts |= {"precision": data["precision"], "files": files}
            print(json.dumps(facts, indent=2))
            return code
        print(f"{type(net).__name__} x{net.scale}, input {plan.widest}")
        if plan.net.rewrites:
            print(plan.net.rewrites)
        for warning in [*warnings, *plan.warnings]:
            echo_error(f"{_PREFIX}{warning}")
        for name, path in plan.paths.items():
            print(f"{name}: {path}" + (f" (cannot be built here: {missing[name]})" if missing[name] else ""))
    return code

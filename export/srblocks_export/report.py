"""What an export did, for the terminal and for machines."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ExportError

if TYPE_CHECKING:
    from rich.table import Table

    from .verification.process import Verification


@dataclass(frozen=True, kw_only=True)
class ArtifactReport:
    """The outcome of one format.

    Attributes:
        format: name of the format.
        path: the artifact, or the rejected file; None when nothing was written.
        entry: the manifest's entry; None when nothing was written.
        verification: figures of the comparison; None when it was off or not reached.
        error: what went wrong; None when the artifact is there and verified.
        seconds: time to export and verify.
    """

    format: str
    path: Path | None = None
    entry: dict[str, Any] | None = None
    verification: "Verification | None" = None
    error: ExportError | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Give the outcome as plain data."""
        return {
            "format": self.format,
            "file": str(self.path) if self.path else None,
            "error": str(self.error) if self.error else None,
            "exit_code": self.error.exit_code if self.error else 0,
            "seconds": round(self.seconds, 2),
            "manifest": self.entry,
        }


def exit_code(reports: list[ArtifactReport]) -> int:
    """Give the code of the first format that failed; 0 when none did."""
    return next((report.error.exit_code for report in reports if report.error), 0)


def table(reports: list[ArtifactReport]) -> "Table":
    """Give the summary as a table for the terminal; errors are relative to the output's standard deviation."""
    from rich.markup import escape
    from rich.table import Table

    summary = Table(box=None, pad_edge=False)
    for column in ("", "artifact", "size", "verified at", "max error", "seconds"):
        summary.add_column(column, overflow="fold")
    for report in reports:
        cases = report.verification.cases if report.verification else ()
        worst = report.verification.max_error if report.verification else None
        summary.add_row(
            "[red]failed[/]" if report.error else "[green]ok[/]",
            escape(report.path.name) if report.path else report.format,
            f"{report.entry['artifact']['bytes'] / 1000:,.0f} kB" if report.entry else "-",
            ", ".join(_short(case["shape"]) for case in cases) or "not verified",
            "-" if worst is None else f"{worst:.1e}",
            f"{report.seconds:.1f}",
        )
    return summary


def _short(shape: list[int]) -> str:
    batch, _, height, width = shape
    return f"{height}x{width}" if batch == 1 else f"{batch} of {height}x{width}"

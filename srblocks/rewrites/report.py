"""Report of `optimize`: one decision per module that a rewrite considered."""

from collections import Counter
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decision:
    """Outcome of one rewrite for one module.

    Attributes:
        rewrite: name of the rewrite.
        module: path of the module in the network; the first one if the rewrite joins several.
        applied: True if the module was rewritten, False if it was kept.
        reason: the result of the rewrite, or the reason why the module was kept.
    """

    rewrite: str
    module: str
    applied: bool
    reason: str


@dataclass(frozen=True)
class Report:
    """All decisions of one `optimize` call; ``str(report)`` has one line per rewrite and reason.

    Attributes:
        decisions: the decisions, in the order in which they were made.
    """

    decisions: tuple[Decision, ...]

    @property
    def applied(self) -> tuple[Decision, ...]:
        """The decisions for modules that were rewritten."""
        return tuple(decision for decision in self.decisions if decision.applied)

    @property
    def declined(self) -> tuple[Decision, ...]:
        """The decisions for modules that were considered and kept."""
        return tuple(decision for decision in self.decisions if not decision.applied)

    def to_manifest(self) -> list[dict[str, Any]]:
        """Return the applied rewrites, each with its number of modules, as JSON-compatible data."""
        counts = Counter((decision.rewrite, decision.reason) for decision in self.applied)
        return [{"name": name, "result": result, "modules": count} for (name, result), count in counts.items()]

    def __str__(self) -> str:
        lines: list[str] = []
        groups: dict[tuple[bool, str, str], list[str]] = {}
        for decision in self.decisions:
            key = (not decision.applied, decision.rewrite, decision.reason)
            groups.setdefault(key, []).append(decision.module)
        for (declined, rewrite, reason), modules in sorted(groups.items()):
            where = modules[0] + (f" and {len(modules) - 1} more" if len(modules) > 1 else "")
            lines.append(f"{rewrite}: {'kept' if declined else 'rewrote'} {where}: {reason}")
        return "\n".join(lines) or "nothing to rewrite"

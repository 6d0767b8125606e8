"""What `optimize` did to a network, and what it left alone."""

from collections import Counter
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decision:
    """What one rewrite made of one module.

    Attributes:
        rewrite: name of the rewrite.
        module: path of the module in the network, its first one if the rewrite joins several.
        applied: the module was rewritten.
        reason: what it became, or why it was left alone.
    """

    rewrite: str
    module: str
    applied: bool
    reason: str


@dataclass(frozen=True)
class Report:
    """What one `optimize` did; ``str(report)`` gives one line per rewrite and reason.

    Attributes:
        decisions: all of them, in the order in which they fell.
    """

    decisions: tuple[Decision, ...]

    @property
    def applied(self) -> tuple[Decision, ...]:
        """The modules that were rewritten."""
        return tuple(decision for decision in self.decisions if decision.applied)

    @property
    def declined(self) -> tuple[Decision, ...]:
        """The modules that a rewrite looked at and left alone."""
        return tuple(decision for decision in self.decisions if not decision.applied)

    def to_manifest(self) -> list[dict[str, Any]]:
        """Give the rewrites that were applied, each with the number of its modules, as plain data."""
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
            lines.append(f"{rewrite}: {'left' if declined else 'rewrote'} {where}: {reason}")
        return "\n".join(lines) or "nothing to rewrite"

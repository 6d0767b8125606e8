"""The result record that every benchmark script writes and reads, as JSON."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import environment
from srblocks._utils.files import atomic_path

RESULTS = Path(__file__).parent / "results"


@dataclass
class Record:
    """One run of one benchmark script.

    Attributes:
        benchmark: name of the script.
        environment: machine, versions and load average, see `environment.describe`.
        rows: one dictionary per measurement; those of timed scripts are `measure.Measurement.to_row`.
        parameters: settings of the run.
        skipped: backend, library or network -> reason why it was not measured.
        notes: notes to print under a table of the rows.
    """

    benchmark: str
    environment: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, benchmark: str, *, threads: int = 1, device: str = "cpu", **parameters: Any) -> "Record":
        """Return an empty record of this machine and print the machine."""
        about = environment.describe(threads=threads, device=device)
        about["freed_memory_kept"] = environment.keep_memory()
        print(environment.headline(about), flush=True)
        return cls(benchmark, about, parameters=parameters)

    @classmethod
    def read(cls, name: str | Path) -> "Record":
        """Read a record; relative paths are in benchmarks/results."""
        return cls(**json.loads((RESULTS / name).read_text()))

    def write(self, name: str | Path) -> Path:
        """Write the record with one row per line and return its path; relative paths are in benchmarks/results."""
        self.environment["load_after"] = environment.load()
        return self.save(name)

    def print_skipped(self) -> None:
        """Print what was skipped and why."""
        for what, reason in self.skipped.items():
            print(f"skipped: {what}, {reason}")

    @property
    def has_wrong_outputs(self) -> bool:
        """True if a candidate was skipped because of its output."""
        return any(reason.startswith("WRONG") for reason in self.skipped.values())

    def save(self, name: str | Path) -> Path:
        """Write the record without a new load average."""
        content = asdict(self)
        rows = content.pop("rows")
        head = json.dumps(content, indent=2).removesuffix("\n}")
        lines = ",\n".join("    " + json.dumps(row) for row in rows)
        path = result_path(name)
        with atomic_path(path) as temporary:
            temporary.write_text(f'{head},\n  "rows": [\n{lines}\n  ]\n}}\n')
        return path


def result_path(name: str | Path) -> Path:
    """Return the path of a result file and create its folder; relative paths are in benchmarks/results."""
    path = RESULTS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def data_folder(*folders: str) -> Path:
    """Return the folder named by SRBLOCKS_DATA; exit if it lacks one of the subfolders."""
    value = os.environ.get("SRBLOCKS_DATA")
    if not value or not all(Path(value, folder).is_dir() for folder in folders):
        sys.exit(f"{Path(sys.argv[0]).name}: set SRBLOCKS_DATA to a folder that contains {' and '.join(folders)}")
    return Path(value)


def measured_on(about: Mapping[str, Any], *packages: str) -> str:
    """Return the machine, the versions of the packages and the load average of a record in one sentence."""
    device = about.get("gpu")
    machine = f"{about['cpu']['name']} with {', '.join(about['cpu']['flags'])}"
    if "threads" in about:
        machine += f", {about['threads']} thread{'s' * (about['threads'] > 1)}"
    machine = f"{device['name']}, driver {device['state'].get('driver_version')}" if device else machine
    versions = [f"{name} {about['versions'][name]}" for name in ("torch", *packages) if name in about["versions"]]
    load = f", load average {about['load']} before and {about['load_after']} after" if "load_after" in about else ""
    return f"Measured on {machine}, {', '.join(versions)}{load}."

"""Exporting a network: every format is written aside, verified, and only then moved to its final name."""

import contextlib
import copy
import errno
import tempfile
import time
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srblocks.network import Network

from .errors import ExportError
from .formats import FORMATS, Format
from .manifest import add_entry, describe, describe_file, tool_versions
from .report import ArtifactReport
from .request import ExportRequest
from .shapes import Shapes
from .verify import References, Verification, Worker


def network_shapes(net: Network, request: ExportRequest) -> Shapes:
    """Resolve the sizes that the artifacts of `net` will take.

    Raises:
        ExportError: E202, a shape that the network does not take.
    """
    return request.shapes(image_channels=net.image_channels, min_size=net.min_size, size_multiple=net.size_multiple)


def artifact_paths(net: Network, request: ExportRequest) -> dict[str, Path]:
    """Give the file of each requested format."""
    stem = request.name
    if stem is None:
        name = describe(net, network_shapes(net, request))["model"]["name"]
        shape = "x".join(map(str, request.shape)) if request.shape else "dyn"
        stem = f"{name}_x{net.scale}_fp32_{shape}"
    return {name: request.out / f"{stem}{FORMATS[name].suffix}" for name in request.formats}


def check_outputs(net: Network, request: ExportRequest) -> None:
    """Refuse what could not be written in the end, before any work is done.

    Raises:
        ExportError: E301, an output exists and `force` is off; E302, the folder cannot be written.
    """
    for path in artifact_paths(net, request).values():
        if path.exists() and not request.force:
            raise ExportError(301, f"{path} exists", "use --force to overwrite it, or another folder with -o")
    with _writing(request.out):
        request.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=request.out):
            pass


def export_network(
    net: Network, request: ExportRequest, *, progress: Callable[[str], None] = lambda step: None
) -> list[ArtifactReport]:
    """Export a network to every requested format; one that fails does not keep the others from being written.

    Args:
        net: the network; it is not changed.
        request: what to do.
        progress: called with the name of each step before it begins.

    Returns:
        One report per format, in the order of the request. A failed verification leaves the file as `*.rejected`.

    Raises:
        ExportError: nothing was written: E202 wrong shape, E301 existing output, E302 unwritable folder.
    """
    net = copy.deepcopy(net).cpu().eval()
    shapes = network_shapes(net, request)
    check_outputs(net, request)
    paths = artifact_paths(net, request)
    with tempfile.TemporaryDirectory(prefix="srblocks-") as scratch, Worker() as worker:
        references = None
        if request.verify != "off":
            progress("reference outputs")
            references = References(net, shapes, Path(scratch), seed=request.seed, sizes=request.verify)
        job = _Job(net, request, shapes, describe(net, shapes), worker, references, progress)
        return [job.run(FORMATS[name], paths[name]) for name in request.formats]


@dataclass(frozen=True)
class _Job:
    """What all formats of one export share."""

    net: Network
    request: ExportRequest
    shapes: Shapes
    embedded: dict[str, Any]
    worker: Worker
    references: References | None
    progress: Callable[[str], None]

    def run(self, row: Format, path: Path) -> ArtifactReport:
        """Write, verify and publish one artifact."""
        start = time.perf_counter()
        temporary = path.with_name(f".{uuid.uuid4().hex[:12]}-{path.name}")
        try:
            entry = self._write(row, path, temporary)
            verification = self._verify(row, temporary)
            entry["verify"] = verification.to_manifest() if verification else {"status": "off"}
            error = self._publish(row, temporary, path, entry, verification)
        except ExportError as failure:
            return ArtifactReport(format=row.name, error=failure, seconds=time.perf_counter() - start)
        finally:
            temporary.unlink(missing_ok=True)
        return ArtifactReport(
            format=row.name,
            path=_rejected(path) if error else path,
            entry=entry,
            verification=verification,
            error=error,
            seconds=time.perf_counter() - start,
        )

    def _write(self, row: Format, path: Path, temporary: Path) -> dict[str, Any]:
        if missing := row.missing():
            raise ExportError(401, f"{row.name}: {missing}", row.remedy)
        self.progress(f"{row.name}: export")
        with _writing(path.parent):
            details = row.module.write(
                self.net, temporary, shapes=self.shapes, metadata=self.embedded, opset=self.request.opset
            )
        return self.embedded | {
            "artifact": {"format": row.name, **details, **describe_file(temporary, path.name)},
            "tool": tool_versions(),
            "warnings": list(self.request.warnings),
        }

    def _verify(self, row: Format, temporary: Path) -> Verification | None:
        if not self.references:
            return None
        self.progress(f"{row.name}: verify in a fresh process")
        return self.worker.verify(temporary, self.references, self.request.tolerance)

    def _publish(
        self, row: Format, temporary: Path, path: Path, entry: dict[str, Any], verification: Verification | None
    ) -> ExportError | None:
        with _writing(path.parent):
            if verification and verification.problem:
                temporary.replace(_rejected(path))
                return ExportError(601, f"{row.name}: {verification.problem}", f"do not use {_rejected(path).name}")
            temporary.replace(path)
            add_entry(path.parent, entry)
        return None


def _rejected(path: Path) -> Path:
    return path.with_name(f"{path.name}.rejected")


@contextlib.contextmanager
def _writing(folder: Path) -> Generator[None, None, None]:
    """Turn what the operating system says of a folder into one message."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space" if full else "choose another folder with -o, or change its permissions"
        raise ExportError(302, f"{folder} cannot be written ({error.strerror or error})", remedy) from error

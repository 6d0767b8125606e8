"""Exporting a network: every format is written aside, verified, and only then moved to its final name."""

import contextlib
import copy
import errno
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
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
    return request.shapes(
        image_channels=net.image_channels, min_size=net.min_size, size_multiple=net.size_multiple
    )


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
        embedded = describe(net, shapes)
        return [
            _export_one(net, FORMATS[name], paths[name], shapes, embedded, request, worker, references, progress)
            for name in request.formats
        ]


def _export_one(
    net: Network,
    row: Format,
    path: Path,
    shapes: Shapes,
    embedded: dict[str, Any],
    request: ExportRequest,
    worker: Worker,
    references: References | None,
    progress: Callable[[str], None],
) -> ArtifactReport:
    start = time.perf_counter()
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}-{path.name}")
    entry: dict[str, Any] | None = None
    verification: Verification | None = None
    final = path
    try:
        if missing := row.missing():
            raise ExportError(401, f"{row.name}: {missing}", row.remedy)
        progress(f"{row.name}: export")
        with _writing(path.parent):
            details = row.module.write(net, temporary, shapes=shapes, metadata=embedded, opset=request.opset)
        artifact = {"format": row.name, **details, **describe_file(temporary, path.name)}
        if references:
            progress(f"{row.name}: verify in a fresh process")
            verification = worker.verify(temporary, references, request.tolerance)
        entry = embedded | {
            "artifact": artifact,
            "tool": tool_versions(),
            "verify": verification.to_manifest() if verification else {"status": "off"},
            "warnings": list(request.warnings),
        }
        if verification and verification.problem:
            final = path.with_name(f"{path.name}.rejected")
            with _writing(path.parent):
                temporary.replace(final)
            raise ExportError(601, f"{row.name}: {verification.problem}", f"not usable, kept as {final.name}")
        with _writing(path.parent):
            temporary.replace(path)
            add_entry(path.parent, entry)
    except ExportError as error:
        kept = final if entry and error.exit_code == 6 else None
        return _report(row, start, path=kept, entry=entry if kept else None, verification=verification, error=error)
    finally:
        temporary.unlink(missing_ok=True)
    return _report(row, start, path=path, entry=entry, verification=verification)


def _report(row: Format, start: float, **fields: Any) -> ArtifactReport:
    return ArtifactReport(format=row.name, seconds=time.perf_counter() - start, **fields)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn what the operating system says of a folder into one message."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space" if full else "choose another folder with -o, or change its permissions"
        raise ExportError(302, f"{folder} cannot be written ({error.strerror or error})", remedy) from error

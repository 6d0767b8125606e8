"""Exporting a network: every format is written aside, verified, and only then moved to its final name."""

import contextlib
import copy
import errno
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srblocks._utils.files import publish, remove_leftovers, temporary_name
from srblocks._utils.memory import is_out_of_memory
from srblocks.network import Network
from srblocks.rewrites import optimize

from .config import ExportConfig
from .errors import ExportError, first_line, unforeseen
from .formats import FORMATS, Format
from .formats.tensorrt.format import trtexec_lines
from .manifest import add_artifact, describe, describe_file, read_entries, tool_versions
from .precision import convert
from .report import ArtifactReport
from .shapes import Shapes
from .verification.process import References, Verification, Worker


@dataclass(frozen=True)
class Plan:
    """What an export will write, before anything is written.

    Attributes:
        reference: the network as it was given, in float32 on the CPU: what every artifact is compared with.
        net: the network that is exported; optimized unless the request says otherwise, and in its precision.
        shapes: the sizes that the artifacts will take.
        paths: the file of each requested format.
        description: the part of the manifest that is embedded in every artifact.
        warnings: remarks on the precision.
    """

    reference: Network
    net: Network
    shapes: Shapes
    paths: dict[str, Path]
    description: dict[str, Any]
    warnings: tuple[str, ...] = ()


def network_shapes(net: Network, request: ExportConfig) -> Shapes:
    """Resolve the sizes that the artifacts of `net` will take.

    Raises:
        ExportError: E202, a shape that the network does not take.
    """
    return request.shapes(image_channels=net.image_channels, min_size=net.min_size, size_multiple=net.size_multiple)


def plan_export(net: Network, request: ExportConfig) -> Plan:
    """Decide what an export will write, and refuse what could not be written in the end; creates nothing.

    Raises:
        ExportError: E200 unknown rewrites or wrong modules to keep in float32, E202 wrong shape, E301 existing output,
            E302 unwritable folder, E303 foreign manifest.json, E601 the precision's range is too small, E701 too little
            memory, E903 no images to calibrate with.
    """
    reference = copy.deepcopy(net).cpu().float().eval()
    network_shapes(reference, request)
    net = _optimized(reference, request)
    shapes = network_shapes(net, request)
    description = describe(reference, shapes)
    description["rewrites"] = net.rewrites.to_manifest() if net.rewrites else []
    stem = request.name
    if stem is None:
        model = description["model"]
        color = "" if model["color"] == net.color else f"_{net.color}"
        shape = "x".join(map(str, request.shape)) if request.shape else "dyn"
        stem = f"{model['name']}_x{net.scale}{color}_{request.precision}_{shape}"
    paths = {name: request.out / f"{stem}{_device(name, request)}{FORMATS[name].suffix}" for name in request.formats}
    _check_outputs(paths, request)
    with _enough_memory(shapes):
        net, precision, warnings = convert(net, shapes, request)
    description["precision"] |= precision
    if shapes.optimum and not (request.maximum or request.shape):
        warnings.append(f"warning: TensorRT needs a largest size; every file takes {shapes}, --max chooses another")
    return Plan(reference, net, shapes, paths, description, tuple(warnings))


def _device(name: str, request: ExportConfig) -> str:
    """Name the device in the files of a format that has a choice, where it is not the usual one."""
    usual, *others = FORMATS[name].devices
    device = FORMATS[name].device(request.device)
    return f"_{device}" if others and device != usual else ""


def _optimized(net: Network, request: ExportConfig) -> Network:
    """Optimize as the request says; sizes that it names stay legal."""
    if not request.optimize:
        return net
    sides = [side for shape in (request.shape, request.minimum, request.maximum) if shape for side in shape[2:]]
    try:
        return optimize(net, without=request.without, min_size=min(sides, default=None))
    except ValueError as error:
        cause, _, remedy = str(error).removeprefix("optimize: ").partition("; ")
        raise ExportError(200, f"--without: {cause}", remedy) from None


def _check_outputs(paths: dict[str, Path], request: ExportConfig) -> None:
    with _writing(request.out):
        for path in paths.values():
            if path.is_dir():
                raise ExportError(301, f"{path} is a folder", "use another folder with -o, or another --name")
            if path.exists() and not request.force:
                raise ExportError(301, f"{path} exists", "use --force to overwrite it, or another folder with -o")
        read_entries(request.out)
        existing = next(folder for folder in (request.out, *request.out.absolute().parents) if folder.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass


def export_network(
    net: Network,
    request: ExportConfig,
    *,
    progress: Callable[[str], None] = lambda step: None,
    warnings: Sequence[str] = (),
) -> list[ArtifactReport]:
    """Export a network to every requested format; one that fails does not keep the others from being written.

    Args:
        net: the network; it is not changed.
        request: what to do.
        progress: called with the name of each step before it begins.
        warnings: remarks on the network to carry into the manifest.

    Returns:
        One report per format, in the order of the request. A failed verification leaves the file as `*.rejected`.

    Raises:
        ExportError: nothing was written, see `plan_export`.
    """
    plan = plan_export(net, request)
    with _writing(request.out):
        request.out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(request.out)
    with _scratch() as scratch, Worker() as worker:
        references = None
        if request.verify != "off":
            progress("reference outputs")
            references = _references(plan, scratch, request)
        job = _Job(plan, request, worker, references, progress, (*warnings, *plan.warnings))
        reports: dict[str, ArtifactReport] = {}
        for name in request.formats:
            reports[name] = job.run(FORMATS[name], reports.get(FORMATS[name].source or ""))
        return list(reports.values())


@contextlib.contextmanager
def _scratch() -> Generator[Path, None, None]:
    with _writing("the folder for temporary files", "set TMPDIR to another folder"):
        folder = tempfile.TemporaryDirectory(prefix="srblocks-")
    with folder as name:
        yield Path(name)


def _references(plan: Plan, scratch: Path, request: ExportConfig) -> References:
    with _enough_memory(plan.shapes), _writing(scratch.parent, "set TMPDIR to another folder"):
        return References(plan.reference, plan.shapes, scratch, seed=request.seed, sizes=request.verify)


@contextlib.contextmanager
def _enough_memory(shapes: Shapes) -> Generator[None, None, None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        cause = f"the network needs more memory than there is at {shapes}"
        raise ExportError(701, cause, "use a smaller --shape or --min, or --verify off") from error


@dataclass(frozen=True)
class _Job:
    """What all formats of one export share."""

    plan: Plan
    request: ExportConfig
    worker: Worker
    references: References | None
    progress: Callable[[str], None]
    warnings: tuple[str, ...]

    def run(self, row: Format, source: ArtifactReport | None = None) -> ArtifactReport:
        """Write, verify and publish one artifact, from that of `source` where the format is made from one."""
        start = time.perf_counter()
        path = self.plan.paths[row.name]
        temporary = temporary_name(path)
        try:
            entry = self._write(row, path, temporary, source)
            verification = self._verify(row, temporary, entry)
            entry["verify"] = verification.to_manifest() if verification else {"status": "off"}
            error = self._publish(row, temporary, path, entry, verification)
        except Exception as failure:  # one format must not keep the others from being written
            error = failure if isinstance(failure, ExportError) else _unexpected(row, failure)
            return ArtifactReport(format=row.name, error=error, seconds=time.perf_counter() - start)
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

    def _write(self, row: Format, path: Path, temporary: Path, source: ArtifactReport | None) -> dict[str, Any]:
        made_from: dict[str, Any] = {}
        if source and source.error:
            cause = f"{row.name}: there is no {source.format} file to make it from"
            raise ExportError(source.error.number, cause, f"see what {source.format} lacks")
        if source:
            made_from = {"source": source.path}  # which is looked through ahead of what is missing here
        elif missing := row.missing(device=self.request.device):
            raise ExportError(missing.number, f"{row.name}: {missing.what}", missing.remedy)
        self.progress(f"{row.name}: export")
        description = copy.deepcopy(self.plan.description)
        description["precision"]["tf32"] = self.request.engine.tf32 and row.device(self.request.device) == "cuda"
        with _writing(path.parent):
            details = row.module.write(
                self.plan.net,
                temporary,
                shapes=self.plan.shapes,
                metadata=description,
                request=self.request,
                **made_from,
            )
        warnings = [*self.warnings, *details.pop("warnings", ())]
        if row.name == FORMATS["trt"].source and "trt" in self.plan.paths:
            details["trtexec"] = trtexec_lines(temporary, path.name, self.plan.shapes, self.request)
        return description | {
            "artifact": {"format": row.name, **describe_file(temporary, path.name), **details},
            "tool": tool_versions(),
            "warnings": warnings,
        }

    def _verify(self, row: Format, temporary: Path, entry: dict[str, Any]) -> Verification | None:
        if not self.references:
            return None
        self.progress(f"{row.name}: verify in a fresh process")
        beside = entry if row.sidecar else None
        return self.worker.verify(temporary, self.references, *self.request.bounds, entry=beside)

    def _publish(
        self, row: Format, temporary: Path, path: Path, entry: dict[str, Any], verification: Verification | None
    ) -> ExportError | None:
        with _writing(path.parent):
            if verification and verification.problem:
                publish(temporary, _rejected(path))
                return ExportError(601, f"{row.name}: {verification.problem}", f"do not use {_rejected(path).name}")
            add_artifact(temporary, path, entry, force=self.request.force)
        return None


def _unexpected(row: Format, failure: Exception) -> ExportError:
    """Tell a library that is there but does not load from a fault of ours."""
    if isinstance(failure, ImportError):
        return ExportError(401, f"{row.name}: {first_line(failure)}", row.remedy)
    return unforeseen(failure, f"{row.name}: ")


def _rejected(path: Path) -> Path:
    return path.with_name(f"{path.name}.rejected")


@contextlib.contextmanager
def _writing(
    folder: Path | str, elsewhere: str = "choose another folder with -o, or change its permissions"
) -> Generator[None, None, None]:
    """Turn what the operating system says of a folder into one message."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))
        remedy = "free some space" if full else elsewhere
        raise ExportError(302, f"{folder} cannot be written ({error.strerror or error})", remedy) from error

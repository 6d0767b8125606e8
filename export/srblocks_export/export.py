"""`export_network`: write every format to a temporary file, verify it, and move it to its final name."""

import contextlib
import copy
import errno
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from srblocks._utils.files import publish, remove_leftovers, scratch_folder, temporary_name
from srblocks._utils.memory import is_out_of_memory
from srblocks.network import Network
from srblocks.rewrites import optimize

from .config import ExportConfig
from .errors import ExportError, first_line, internal_error, invalid_option
from .formats import FORMATS, Format, WriteContext
from .manifest import (
    Manifest,
    RewriteInfo,
    add_artifact,
    describe,
    describe_file,
    read_entries,
    tool_versions,
    with_shapes,
)
from .precision import convert
from .report import ArtifactReport, short_size
from .shapes import Shapes
from .verification.inputs import References
from .verification.process import Worker


@dataclass(frozen=True)
class Plan:
    """Artifacts that an export will write.

    Attributes:
        reference: the original network in float32 on the CPU, which every artifact is compared with.
        net: the network to export: optimized unless the config disables it, and in the requested precision.
        shapes: input shapes of each requested format.
        paths: file of each requested format.
        manifest: the part of the manifest that is embedded in every artifact.
        warnings: warnings about precision and sizes.
    """

    reference: Network
    net: Network
    shapes: dict[str, Shapes]
    paths: dict[str, Path]
    manifest: Manifest
    warnings: tuple[str, ...] = ()

    @property
    def widest(self) -> Shapes:
        """The input shapes of the first format; those of others may have an upper limit."""
        return next(iter(self.shapes.values()))


def network_shapes(net: Network, config: ExportConfig, *, bounded: bool = False) -> Shapes:
    """Resolve the input shapes of the artifacts of `net`.

    Args:
        net: the network.
        config: the options.
        bounded: for a format that needs an upper limit.

    Raises:
        ExportError: E202, a shape that the network rejects.
    """
    return config.shapes(
        image_channels=net.image_channels, min_size=net.min_size, size_multiple=net.size_multiple, bounded=bounded
    )


def plan_export(net: Network, config: ExportConfig) -> Plan:
    """Prepare an export and reject what cannot succeed; writes nothing.

    Raises:
        TypeError: `net` is not a `Network`.
        ExportError: E200 unknown rewrites or wrong modules to keep in float32, E202 wrong shape, E301 existing output,
            E302 unwritable folder, E303 invalid manifest.json, E601 values exceed the precision's range, E701 too
            little memory, E903 invalid calibration images.
    """
    if not isinstance(net, Network):  # pyright: ignore[reportUnnecessaryIsInstance] (of callers without a type checker)
        raise TypeError(f"net must be a srblocks.network.Network, got {type(net).__name__}")
    reference = copy.deepcopy(net).cpu().float().eval()
    network_shapes(reference, config)
    net = _optimized(reference, config)
    shapes = {name: network_shapes(net, config, bounded=FORMATS[name].needs_range) for name in config.formats}
    widest = shapes[config.formats[0]]
    manifest = describe(reference, widest)
    paths = _output_paths(net, manifest, config)
    _check_outputs(paths, config)
    with _enough_memory(widest):
        net, precision, warnings = convert(net, widest, config)
    applied = net.rewrites.to_manifest() if net.rewrites else []
    manifest = replace(manifest, precision=precision, rewrites=tuple(RewriteInfo(**rewrite) for rewrite in applied))
    if not (config.maximum or config.shape):
        limited = {name: each for name, each in shapes.items() if FORMATS[name].needs_range}
        warnings += [
            f"warning: {name} needs a largest size and accepts {each}; use --max to change it"
            for name, each in limited.items()
        ]
    return Plan(reference, net, shapes, paths, manifest, tuple(warnings))


def _output_paths(net: Network, manifest: Manifest, config: ExportConfig) -> dict[str, Path]:
    stem = config.name
    if stem is None:
        color = "" if manifest.model.color == net.color else f"_{net.color}"
        shape = "x".join(map(str, config.shape)) if config.shape else "dyn"
        stem = f"{manifest.model.name}_x{net.scale}{color}_{config.precision}_{shape}"
    return {name: config.out / f"{stem}{_device(name, config)}{FORMATS[name].suffix}" for name in config.formats}


def _device(name: str, config: ExportConfig) -> str:
    """Return the suffix for a device other than the format's default one."""
    usual, *others = FORMATS[name].devices
    device = FORMATS[name].device(config.device)
    return f"_{device}" if others and device != usual else ""


def _optimized(net: Network, config: ExportConfig) -> Network:
    """Apply the rewrites; the sizes in the config stay legal."""
    if not config.optimize:
        return net
    sides = [side for shape in (config.shape, config.minimum, config.maximum) if shape for side in shape[2:]]
    rows = [FORMATS[name].always_rewrites.get(config.precision, ()) for name in config.formats]
    always = {rewrite for row in rows for rewrite in row}
    try:
        return optimize(net, without=config.without, always=always, min_size=min(sides, default=None))
    except ValueError as error:
        raise invalid_option(error) from error


def _check_outputs(paths: dict[str, Path], config: ExportConfig) -> None:
    with _writing(config.out):
        for path in paths.values():
            if path.is_dir():
                raise ExportError(301, f"{path} is a folder", "use another folder with -o, or another --name")
            if path.exists() and not config.force:
                raise ExportError(301, f"{path} exists", "use --force to overwrite it, or another folder with -o")
        read_entries(config.out)
        existing = next(folder for folder in (config.out, *config.out.absolute().parents) if folder.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass


def export_network(
    net: Network,
    config: ExportConfig,
    *,
    progress: Callable[[str], None] = lambda step: None,
    warnings: Sequence[str] = (),
) -> list[ArtifactReport]:
    """Export a network to every requested format; if one format fails, the others are still written.

    Args:
        net: the network; it is not modified.
        config: the options.
        progress: called with the name of each step before it starts.
        warnings: warnings about the network, for the manifest.

    Returns:
        One report per format, in the order of the config. After a failed verification the file is kept as
        ``*.rejected``.

    Raises:
        TypeError, ExportError: nothing was written, see `plan_export`.
    """
    plan = plan_export(net, config)
    with _writing(config.out):
        config.out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(config.out)
    with _scratch_folder() as scratch, Worker() as worker:
        references: dict[Shapes, References] = {}
        if config.verify != "off":
            progress("reference outputs")
            references = _references(plan, scratch, config)
        job = _Job(plan, config, worker, references, progress, (*warnings, *plan.warnings))
        reports: dict[str, ArtifactReport] = {}
        for name in config.formats:
            reports[name] = job.run(FORMATS[name], reports.get(FORMATS[name].source or ""))
        return list(reports.values())


@contextlib.contextmanager
def _scratch_folder() -> Generator[Path, None, None]:
    with contextlib.ExitStack() as stack:
        with _writing("the folder for temporary files", "set TMPDIR to another folder"):
            folder = stack.enter_context(scratch_folder())
        yield folder


def _references(plan: Plan, scratch: Path, config: ExportConfig) -> dict[Shapes, References]:
    """Return the reference outputs for the shapes of the formats that can run here."""
    wanted = (shapes for name, shapes in plan.shapes.items() if not _is_only_inspected(FORMATS[name], config))
    found: dict[Shapes, References] = {}
    with _enough_memory(plan.widest), _writing(scratch.parent, "set TMPDIR to another folder"):
        for number, shapes in enumerate(dict.fromkeys(wanted)):
            folder = scratch / str(number)
            folder.mkdir()
            found[shapes] = References(plan.reference, shapes, folder, seed=config.seed, sizes=config.verify)
    return found


def _is_only_inspected(target: Format, config: ExportConfig) -> bool:
    """Return whether an artifact can be built here, but not run."""
    return target.builds_ahead and target.missing(build=False, device=config.device) is not None


@contextlib.contextmanager
def _enough_memory(shapes: Shapes) -> Generator[None, None, None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        cause = f"not enough memory to run the network at {shapes}"
        raise ExportError(701, cause, "use a smaller --shape or --min, or --verify off") from error


@dataclass(frozen=True)
class _Job:
    """State that all formats of one export share."""

    plan: Plan
    config: ExportConfig
    worker: Worker
    references: dict[Shapes, References]
    progress: Callable[[str], None]
    warnings: tuple[str, ...]

    def run(self, target: Format, source: ArtifactReport | None = None) -> ArtifactReport:
        """Write, verify and publish one artifact, made from that of `source` for formats that need one."""
        start = time.perf_counter()
        path = self.plan.paths[target.name]
        temporary = temporary_name(path)
        try:
            manifest, checks = self._write(target, path, temporary, source)
            manifest = self._verify(target, temporary, manifest, checks)
            error = self._publish(target, temporary, path, manifest)
        except Exception as failure:  # the other formats are still written
            error = failure if isinstance(failure, ExportError) else _unexpected(target, failure)
            return ArtifactReport(format=target.name, error=error, seconds=time.perf_counter() - start)
        finally:
            temporary.unlink(missing_ok=True)
        return ArtifactReport(
            format=target.name,
            path=_rejected(path) if error else path,
            manifest=manifest,
            error=error,
            seconds=time.perf_counter() - start,
        )

    def _write(
        self, target: Format, path: Path, temporary: Path, source: ArtifactReport | None
    ) -> tuple[Manifest, list[str]]:
        """Write the file; return its manifest and what its build proves."""
        if source and source.error:
            cause = f"{target.name}: there is no {source.format} file to build it from"
            raise ExportError(source.error.number, cause, f"see the error of {source.format}")
        if not source and (missing := target.missing(device=self.config.device)):
            raise ExportError(missing.number, f"{target.name}: {missing.what}", missing.remedy)
        self.progress(f"{target.name}: export")
        tf32 = self.config.engine.tf32 and target.device(self.config.device) == "cuda"
        shapes = self.plan.shapes[target.name]
        manifest = with_shapes(self.plan.manifest, shapes)
        manifest = replace(manifest, precision=replace(manifest.precision, tf32=tf32))
        context = WriteContext(shapes, manifest.to_dict(), self.config, source=source.path if source else None)
        with _writing(path.parent):
            details = target.write(self.plan.net, temporary, context)
        warnings, checks = (*self.warnings, *details.pop("warnings", ())), details.pop("checks", [])
        for other in (FORMATS[name] for name in self.config.formats if FORMATS[name].source == target.name):
            details |= other.source_details(temporary, path.name, replace(context, shapes=self.plan.shapes[other.name]))
        artifact = describe_file(target.name, temporary, path.name, details)
        if source and source.verification:
            sizes = ", ".join(map(short_size, (case.shape for case in source.verification.cases)))
            checks.append(f"{source.format} file executed at {sizes}")
        return replace(manifest, artifact=artifact, tool=tool_versions(), warnings=warnings), checks

    def _verify(self, target: Format, temporary: Path, manifest: Manifest, checks: Sequence[str]) -> Manifest:
        if self.config.verify == "off":
            return manifest
        self.progress(f"{target.name}: verify in a fresh process")
        entry = manifest.to_dict() if target.sidecar else None
        if _is_only_inspected(target, self.config):
            found = self.worker.inspect(temporary, manifest.to_dict())
            return replace(manifest, verification=replace(found, checks=(*checks, *found.checks)))
        references = self.references[self.plan.shapes[target.name]]
        found = self.worker.verify(temporary, references, *self.config.bounds, entry=entry)
        return replace(manifest, verification=found)

    def _publish(self, target: Format, temporary: Path, path: Path, manifest: Manifest) -> ExportError | None:
        with _writing(path.parent):
            if manifest.verification and manifest.verification.problem:
                publish(temporary, _rejected(path))
                cause = f"{target.name}: {manifest.verification.problem}"
                return ExportError(601, cause, f"do not use {_rejected(path).name}")
            add_artifact(temporary, path, manifest.to_dict(), force=self.config.force)
        return None


def _unexpected(target: Format, failure: Exception) -> ExportError:
    """Return the error to report: a library that fails to import, or an internal error."""
    if isinstance(failure, ImportError):
        return ExportError(401, f"{target.name}: {first_line(failure)}", target.remedy)
    return internal_error(failure, f"{target.name}: ")


def _rejected(path: Path) -> Path:
    return path.with_name(f"{path.name}.rejected")


@contextlib.contextmanager
def _writing(
    folder: Path | str, elsewhere: str = "choose another folder with -o, or change its permissions"
) -> Generator[None, None, None]:
    """Convert errors of the operating system to E302."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))
        remedy = "free some space" if full else elsewhere
        raise ExportError(302, f"{folder} cannot be written ({error.strerror or error})", remedy) from error

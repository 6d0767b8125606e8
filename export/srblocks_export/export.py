"""`export_network`: write every format to a temporary file, verify it, and move it to its final name."""

import contextlib
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from srblocks._utils.files import publish, remove_leftovers, scratch_folder, temporary_name
from srblocks._utils.rounding import round_up
from srblocks.adapter import AdaptedNetwork, as_network
from srblocks.network import Network

from .config import ExportConfig
from .errors import ExportError, first_line, internal_error
from .formats import FORMATS, Format, WriteContext
from .manifest import (
    Manifest,
    add_artifact,
    describe_file,
    tool_versions,
    with_shapes,
)
from .plan import Plan, enough_memory, plan_export, writing
from .report import ArtifactReport, short_size
from .shapes import Shapes
from .verification.inputs import References
from .verification.process import Worker

_STATIC_SIDE = 64
"""Side of the images of a module that cannot be exported with dynamic sizes, if no size is requested."""


def export_network(
    net: nn.Module,
    config: ExportConfig | None = None,
    *,
    scale: int | None = None,
    channels: int = 3,
    progress: Callable[[str], None] = lambda step: None,
    warnings: Sequence[str] = (),
) -> list[ArtifactReport]:
    """Export a network to every requested format; if one format fails, the others are still written.

    Args:
        net: a network, or any other module that maps images to images; it is not modified.
        config: the options; None for the default ones.
        scale: scale factor of a module that is not a `srblocks.Network`. To state its value range, smallest size or
            multiple, pass `srblocks.as_network`.
        channels: image channels of such a module.
        progress: called with the name of each step before it starts.
        warnings: warnings about the network, for the manifest.

    Returns:
        One report per format, in the order of the config. After a failed verification the file is kept as
        ``*.rejected``.

    Raises:
        TypeError: `net` is not a `Network`, and `scale` is None.
        ArgumentError: the module does not map images as stated.
        ExportError: nothing was written, see `plan_export`.
    """
    config = config or ExportConfig()
    if scale is not None and not isinstance(net, Network):
        net = as_network(net, scale=scale, image_channels=channels)
    reports = _export(net, config, progress, warnings)
    errors = {each.format: each.error for each in reports if each.error and each.error.number // 100 in (5, 6, 7)}
    if not isinstance(net, AdaptedNetwork) or not errors or config.shape or config.minimum or config.maximum:
        return reports
    again = {each.format: each for each in _export_static(net, config, errors, progress, warnings)}
    return [again.get(each.format, each) for each in reports]


def _export_static(
    net: AdaptedNetwork,
    config: ExportConfig,
    errors: Mapping[str, ExportError],
    progress: Callable[[str], None],
    warnings: Sequence[str],
) -> list[ArtifactReport]:
    """Export the formats that failed with dynamic sizes again, for one size."""
    first = next(iter(errors.values()))
    side = round_up(max(net.min_size, _STATIC_SIDE), net.size_multiple)
    shape = (1, net.image_channels, side, side)
    size = "x".join(map(str, shape))
    reason = f"dynamic sizes fail ({first.cause.splitlines()[0]})"
    note = f"warning: {', '.join(errors)} accepts only {size}, because {reason}; choose another size with --shape"
    return _export(net, replace(config, formats=tuple(errors), shape=shape), progress, (*warnings, note))


def _export(
    net: nn.Module, config: ExportConfig, progress: Callable[[str], None], warnings: Sequence[str]
) -> list[ArtifactReport]:
    """Plan the export, and write and verify every format."""
    plan = plan_export(net, config)
    with writing(config.out):
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
        with writing("the folder for temporary files", "set TMPDIR to another folder"):
            folder = stack.enter_context(scratch_folder())
        yield folder


def _references(plan: Plan, scratch: Path, config: ExportConfig) -> dict[Shapes, References]:
    """Return the reference outputs for the shapes of the formats that can run here."""
    wanted = (shapes for name, shapes in plan.shapes.items() if not _is_only_inspected(FORMATS[name], config))
    found: dict[Shapes, References] = {}
    with enough_memory(plan.widest), writing(scratch.parent, "set TMPDIR to another folder"):
        for number, shapes in enumerate(dict.fromkeys(wanted)):
            folder = scratch / str(number)
            folder.mkdir()
            found[shapes] = References(plan.reference, shapes, folder, seed=config.seed, sizes=config.verify)
    return found


def _is_only_inspected(target: Format, config: ExportConfig) -> bool:
    """Return whether an artifact can be built here, but not run."""
    return target.builds_ahead and target.missing(build=False, device=config.device) is not None


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
        with writing(path.parent):
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
        shapes = self.plan.shapes[target.name]
        found = self.worker.verify(temporary, self.references[shapes], *self.config.bounds, entry=entry)
        if found.problem and self._smooth_references(shapes):
            found = self.worker.verify(temporary, self.references[shapes], *self.config.bounds, entry=entry)
        if sizes := ", ".join(map(short_size, self.references[shapes].smoothed)):
            note = f"warning: the network amplifies rounding errors on noise; compared on smooth images at {sizes}"
            manifest = replace(manifest, warnings=(*manifest.warnings, note))
        return replace(manifest, verification=found)

    def _smooth_references(self, shapes: Shapes) -> bool:
        """Replace noise on which correct artifacts can differ; return False if there is none."""
        used = self.references[shapes]
        if used.smoothed:
            return False
        folder = used.path.parent / "smooth"
        folder.mkdir(exist_ok=True)
        smooth = References(
            self.plan.reference, shapes, folder, seed=self.config.seed, sizes=self.config.verify, smooth=True
        )
        if smooth.smoothed:
            self.references[shapes] = smooth
        return bool(smooth.smoothed)

    def _publish(self, target: Format, temporary: Path, path: Path, manifest: Manifest) -> ExportError | None:
        with writing(path.parent):
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

"""Map inputs and folders of inputs to output files."""

import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import UpscaleError
from .formats import FORMATS

_MORE_FORMATS = {".avif", ".heic", ".heif", ".jp2", ".jxl"}
"""Suffixes of images that some versions of `mimetypes` do not know."""


@dataclass(frozen=True)
class Job:
    """A file to upscale, and the file to write."""

    source: Path
    target: Path

    def has_target(self) -> bool:
        """Return whether the target exists."""
        try:
            return self.target.exists()
        except OSError:  # cannot be a path
            return False

    def is_finished(self) -> bool:
        """Return whether the target exists and is not older than the source."""
        return self.has_target() and self.target.stat().st_mtime >= self.source.stat().st_mtime


def plan_jobs(inputs: Sequence[Path], out: Path, *, suffix: str | None = None, overwrite: bool = True) -> list[Job]:
    """Return one job per image, in the order of the inputs and of the names inside folders.

    Files keep their names in the folder `out`. Folders are searched recursively, without hidden files and without
    `out`, and keep their structure. For a single input file, `out` is the output file if it is not a folder and has the
    suffix of an image.

    Args:
        inputs: files and folders.
        out: output folder or file.
        suffix: suffix of the outputs; None for that of each input.
        overwrite: accept outputs that exist.

    Raises:
        UpscaleError: exit code 2 for an input that is missing or has no images, an output that is an input or that of
            two inputs, or an image format that cannot be written; 3 if `out` cannot exist, or an output exists.
    """
    for path in inputs:
        if not (path.is_file() or path.is_dir()):
            raise UpscaleError(f"no such file or directory: {path}")
    try:
        is_folder = out.is_dir()
    except OSError as error:
        raise UpscaleError(f"{out} cannot be written ({error.strerror})", "choose another -o", exit_code=3) from error
    if out.suffix.lower() in FORMATS and not is_folder:
        _check_single(inputs, out, suffix)
        pairs = [(inputs[0], out)]
    elif _is_unsupported(out) and not is_folder:
        raise UpscaleError(f"cannot write {out.suffix} files", f"use {', '.join(FORMATS)}, or a folder")
    else:
        pairs = [(source, out / name) for path in inputs for source, name in _images(path, out)]
        if suffix:
            pairs = [(source, target.with_suffix(suffix)) for source, target in pairs]
    return _jobs(pairs, overwrite=overwrite)


def _jobs(pairs: Sequence[tuple[Path, Path]], *, overwrite: bool) -> list[Job]:
    """Return one job per output; see `plan_jobs` for the errors."""
    sources = {source.resolve() for source, _ in pairs}
    taken: dict[Path, Path] = {}
    for source, target in pairs:
        if target.resolve() in sources:
            raise UpscaleError(f"{target} is an input, which is never overwritten", "choose another -o")
        if (other := taken.setdefault(target, source)).resolve() != source.resolve():
            raise UpscaleError(f"{other} and {source} have the same output {target}", "upscale them separately")
    jobs = [Job(source, target) for target, source in taken.items()]
    existing = [] if overwrite else [job.target for job in jobs if job.has_target()]
    if existing:
        others = f"and {len(existing) - 1} other outputs exist" if len(existing) > 1 else "exists"
        remedy = "use --resume to continue, --force to overwrite, or another -o"
        raise UpscaleError(f"{existing[0]} {others}", remedy, exit_code=3)
    return jobs


def _check_single(inputs: Sequence[Path], out: Path, suffix: str | None) -> None:
    """Raise unless there is one input file and the suffix of its output is that of the format."""
    if len(inputs) != 1 or inputs[0].is_dir():
        raise UpscaleError(f"-o {out} names one file for several inputs", "use a folder")
    kind = FORMATS[out.suffix.lower()]
    if suffix and FORMATS[suffix] != kind:
        raise UpscaleError(f"-o {out} has the suffix of {kind}, not of {FORMATS[suffix]}", "remove --format")


def _is_unsupported(path: Path) -> bool:
    """Return whether a path has the suffix of an image or video format that cannot be written."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    return kind.startswith(("image/", "video/")) or path.suffix.lower() in _MORE_FORMATS


def _images(path: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the images at a path, and their paths relative to the output folder."""
    if path.is_file():
        yield path, Path(path.name)
        return
    root, outputs = path.resolve(), out.resolve()
    names: list[Path] = []
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        is_hidden = any(part.startswith(".") for part in name.parts)
        is_output = root in outputs.parents and outputs in (root / name).parents
        if file.suffix.lower() in FORMATS and file.is_file() and not is_hidden and not is_output:
            names.append(name)
    if not names:
        raise UpscaleError(f"no images in {path}", f"images end in {', '.join(FORMATS)}")
    yield from ((path / name, name) for name in names)

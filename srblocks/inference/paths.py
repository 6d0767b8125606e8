"""Which files become which: inputs, folders of them, and the names of outputs."""

import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import UpscaleError
from .formats import FORMATS

_MORE_FORMATS = {".avif", ".heic", ".heif", ".jp2", ".jxl"}
"""Suffixes of pictures that Python does not know in every version."""


@dataclass(frozen=True)
class Job:
    """A file to enlarge, and the file to write."""

    source: Path
    target: Path

    def has_target(self) -> bool:
        """Tell whether the target is there; a name that cannot be there is none."""
        try:
            return self.target.exists()
        except OSError:
            return False

    def is_finished(self) -> bool:
        """Tell whether the target is there and no older than the source."""
        return self.has_target() and self.target.stat().st_mtime >= self.source.stat().st_mtime


def plan_jobs(inputs: Sequence[Path], out: Path, *, suffix: str | None = None) -> list[Job]:
    """Say what becomes of every input, in the order of the inputs and of the names in folders.

    Files go into `out` under their own names. Folders are searched, without what is hidden and what is in `out`, and
    their trees are kept below `out`. A single file can have a name of its own: `out` is it where it is no folder and
    ends as image files do.

    Args:
        inputs: files and folders.
        out: the folder, or the file.
        suffix: that of the new files; None for that of each input.

    Raises:
        UpscaleError: code 2, an input is missing, a folder holds no images, an output is an input or that of two, `out`
            ends as pictures do that are not written; 3, there can be no file or folder `out`.
    """
    try:
        is_folder = out.is_dir()
    except OSError as error:
        raise UpscaleError(3, f"{out} cannot be written ({error.strerror}); choose another -o") from error
    if out.suffix.lower() in FORMATS and not is_folder:
        if len(inputs) != 1 or not inputs[0].is_file():
            raise UpscaleError(2, f"-o {out} is a name for one file; give a folder, or one file that exists")
        if suffix and FORMATS[suffix] != FORMATS[out.suffix.lower()]:
            raise UpscaleError(2, f"-o {out} is no {FORMATS[suffix]} file; leave out --format")
        pairs = [(inputs[0], out)]
    elif _is_other_picture(out) and not is_folder:
        raise UpscaleError(2, f"-o {out}: {out.suffix} files are not written; use {', '.join(FORMATS)}, or a folder")
    else:
        pairs = [(source, out / name) for path in inputs for source, name in _found(path, out)]
        if suffix:
            pairs = [(source, target.with_suffix(suffix)) for source, target in pairs]
    sources = {source.resolve() for source, _ in pairs}
    taken: dict[Path, Path] = {}
    for source, target in pairs:
        if target.resolve() in sources:
            raise UpscaleError(2, f"{target} is an input, which is never overwritten; choose another -o")
        if (other := taken.setdefault(target, source)).resolve() != source.resolve():
            raise UpscaleError(2, f"{other} and {source} would both become {target}; enlarge them one after the other")
    return [Job(source, target) for target, source in taken.items()]


def _is_other_picture(path: Path) -> bool:
    """Tell whether a name is that of a picture or film of a format that is not written."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    return kind.startswith(("image/", "video/")) or path.suffix.lower() in _MORE_FORMATS


def _found(path: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Give the images at a path, and their names below the output folder."""
    if path.is_file():
        yield path, Path(path.name)
        return
    if not path.is_dir():
        raise UpscaleError(2, f"{path} is no file or folder; give images, or folders of them")
    root, outputs = path.resolve(), out.resolve()
    names: list[Path] = []
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        is_hidden = any(part.startswith(".") for part in name.parts)
        is_output = root in outputs.parents and outputs in (root / name).parents
        if file.suffix.lower() in FORMATS and file.is_file() and not is_hidden and not is_output:
            names.append(name)
    if not names:
        raise UpscaleError(2, f"{path} holds no images; give files that end in {', '.join(FORMATS)}")
    yield from ((path / name, name) for name in names)

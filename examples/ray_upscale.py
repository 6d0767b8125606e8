"""Upscale the images of a folder or a bucket with many workers on a Ray cluster.

    pip install "srblocks[ray,image]"
    python examples/ray_upscale.py photos upscaled --workers 2
    python examples/ray_upscale.py s3://bucket/photos s3://bucket/upscaled --model fsrcnn --scale 4 --workers 64

Runs on this machine, or on the cluster that RAY_ADDRESS names. Every worker loads the model once and produces the same
bytes as `srblocks-upscale`. Subfolders are preserved and hidden files are skipped. Existing outputs are overwritten,
because Ray restarts an image when a machine is lost; files are written atomically. The target must not overlap with the
source. Images that fail are reported on standard error and the others are still upscaled: exit code 10, or 9 if all
images failed.
"""

import argparse
import sys
from pathlib import Path
from posixpath import dirname, normpath, splitext
from typing import Any

try:
    import ray
    import ray.data
    from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

    from srblocks._utils.files import atomic_path
    from srblocks.inference import open_upscaler
    from srblocks.inference.batch import upscale_bytes
    from srblocks.inference.images import FORMATS
except ImportError as error:
    print(f'ray_upscale.py: {error}; pip install "srblocks[ray,image]"', file=sys.stderr)
    sys.exit(4)


class Worker:
    """Upscale and store images, one at a time."""

    def __init__(self, model: str, scale: int | None, device: str, source: str, target: str) -> None:
        self.upscaler = open_upscaler(model, scale=scale, device=device)
        self.images, self.source = locate(source)
        self.filesystem, self.folder = locate(target)

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Upscale an image; return the reason if that failed."""
        name = row["name"]
        path = f"{self.source}/{name}"
        try:
            with self.images.open_input_file(path) as stream:
                content = stream.read()
            upscaled = upscale_bytes(self.upscaler, content, format=FORMATS.get(splitext(name)[1].lower()))
        except Exception as error:  # one image must not stop the others
            return {"path": path, "failure": str(error) or type(error).__name__}
        self.store(f"{self.folder}/{name}", upscaled)
        return {"path": path, "failure": ""}

    def store(self, path: str, content: bytes) -> None:
        """Write a file atomically, as object stores do by themselves."""
        if isinstance(self.filesystem, LocalFileSystem):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
        else:
            with self.filesystem.open_output_stream(path) as stream:
                stream.write(content)


def locate(place: str) -> tuple[FileSystem, str]:
    """Return the file system of a path or URL, and the path in it."""
    filesystem, path = FileSystem.from_uri(place if "://" in place else str(Path(place).resolve()))
    return filesystem, canonical(filesystem, path)


def canonical(filesystem: FileSystem, path: str) -> str:
    """Return the canonical form of a path."""
    return Path(path).resolve().as_posix() if isinstance(filesystem, LocalFileSystem) else normpath(path)


def list_images(filesystem: FileSystem, folder: str) -> list[str]:
    """Return the names of all images in a folder and its subfolders, as `srblocks-upscale` does.

    Ray's own reader silently skips names like _1.png.
    """
    found = filesystem.get_file_info(FileSelector(folder, recursive=True))
    paths = sorted(info.path for info in found if info.is_file and splitext(info.path)[1].lower() in FORMATS)
    names = [path.removeprefix(f"{folder}/") for path in paths if canonical(filesystem, dirname(path)) == dirname(path)]
    return [name for name in names if "/." not in f"/{name}"]


def are_apart(source: tuple[FileSystem, str], target: tuple[FileSystem, str], names: list[str]) -> bool:
    """Return whether no output is an input, in this run or the next one."""
    (images, folder), (filesystem, new) = source, target
    if type(images) is not type(filesystem):
        return True
    originals = {canonical(images, f"{folder}/{name}") for name in names}
    outputs = {canonical(filesystem, f"{new}/{name}") for name in names}
    return not f"{new}/".startswith(f"{folder}/") and not originals & outputs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", help="folder or URL of the images")
    parser.add_argument("target", help="folder or URL for the upscaled images")
    parser.add_argument(
        "--model", default="fsrcnn", help="model as in srblocks-upscale; a file must exist on every machine"
    )
    parser.add_argument("--scale", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for one GPU per worker")
    args = parser.parse_args()
    filesystem, source = locate(args.source)
    kind = filesystem.get_file_info(source).type
    if kind == FileType.NotFound:
        parser.error(f"no such file or directory: {args.source}")
    if kind == FileType.File:
        parser.error(f"{args.source} is a file; pass its folder, or use srblocks-upscale")
    names = list_images(filesystem, source)
    if not names:
        parser.error(f"no images in {args.source}; supported extensions: {', '.join(FORMATS)}")
    if not are_apart((filesystem, source), locate(args.target), names):
        parser.error(f"{args.target} must not overlap with {args.source}; pass another target")

    ray.init(log_to_driver=False)
    results = ray.data.from_items([{"name": name} for name in names]).map(
        Worker,
        fn_constructor_args=(args.model, args.scale, args.device, args.source, args.target),
        compute=ray.data.ActorPoolStrategy(size=args.workers),
        num_gpus=1 if args.device.startswith("cuda") else 0,
    )
    total = failed = 0
    for row in results.iter_rows():
        total += 1
        if row["failure"]:
            failed += 1
            print(f"{row['path']}: {row['failure']}", file=sys.stderr)
    print(f"{total - failed} of {total} upscaled")
    return 0 if not failed else 10 if failed < total else 9


if __name__ == "__main__":
    sys.exit(main())

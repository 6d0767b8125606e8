"""Enlarge the pictures of a folder or a bucket with as many workers as a Ray cluster has room for.

    pip install "srblocks[ray,image]"
    python examples/ray_upscale.py photos enlarged --workers 2
    python examples/ray_upscale.py s3://bucket/photos s3://bucket/enlarged --model fsrcnn --scale 4 --workers 64

Runs on this machine, or on the cluster that RAY_ADDRESS names. Every worker holds the model and does what
`srblocks-upscale` does, so the files are the same to the byte. Trees of folders are kept, without what is hidden, and
outputs that exist are overwritten, since Ray begins a picture again when a machine is lost; a file has its name only
when it is whole. A target where a picture would become an output, or an output a picture, is refused. A picture that
cannot be enlarged is named on standard error and the others are done: exit code 10, and 9 where there was no other.
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
    """Enlarges and stores one picture after the other."""

    def __init__(self, model: str, scale: int | None, device: str, source: str, target: str) -> None:
        self.upscaler = open_upscaler(model, scale=scale, device=device)
        self.pictures, self.source = located(source)
        self.filesystem, self.folder = located(target)

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Do one picture, and tell what kept it from being enlarged."""
        name = row["name"]
        path = f"{self.source}/{name}"
        try:
            with self.pictures.open_input_file(path) as stream:
                content = stream.read()
            enlarged = upscale_bytes(self.upscaler, content, format=FORMATS.get(splitext(name)[1].lower()))
        except Exception as error:  # whatever one picture causes, the others are to be enlarged
            return {"path": path, "failure": str(error) or type(error).__name__}
        self.store(f"{self.folder}/{name}", enlarged)
        return {"path": path, "failure": ""}

    def store(self, path: str, content: bytes) -> None:
        """Write a file that nobody sees before it is whole; object stores see to that themselves."""
        if isinstance(self.filesystem, LocalFileSystem):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
        else:
            with self.filesystem.open_output_stream(path) as stream:
                stream.write(content)


def located(place: str) -> tuple[FileSystem, str]:
    """Give the file system of a path or an address, and the path in it."""
    filesystem, path = FileSystem.from_uri(place if "://" in place else str(Path(place).resolve()))
    return filesystem, real(filesystem, path)


def real(filesystem: FileSystem, path: str) -> str:
    """Give the one name of a place that has several."""
    return Path(path).resolve().as_posix() if isinstance(filesystem, LocalFileSystem) else normpath(path)


def listed(filesystem: FileSystem, folder: str) -> list[str]:
    """Give the names of the pictures in a folder and below, as `srblocks-upscale` finds them.

    Ray's own reader would leave out those like _1.png without a word.
    """
    found = filesystem.get_file_info(FileSelector(folder, recursive=True))
    paths = sorted(info.path for info in found if info.is_file and splitext(info.path)[1].lower() in FORMATS)
    names = [path.removeprefix(f"{folder}/") for path in paths if real(filesystem, dirname(path)) == dirname(path)]
    return [name for name in names if "/." not in f"/{name}"]


def are_apart(source: tuple[FileSystem, str], target: tuple[FileSystem, str], names: list[str]) -> bool:
    """Tell whether no output is a picture, nor would be one the next time."""
    (pictures, folder), (filesystem, new) = source, target
    if type(pictures) is not type(filesystem):
        return True
    originals = {real(pictures, f"{folder}/{name}") for name in names}
    outputs = {real(filesystem, f"{new}/{name}") for name in names}
    return not f"{new}/".startswith(f"{folder}/") and not originals & outputs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", help="folder or address of the pictures")
    parser.add_argument("target", help="folder or address for the enlarged ones")
    parser.add_argument("--model", default="fsrcnn", help="as of srblocks-upscale; a file is there on every machine")
    parser.add_argument("--scale", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda: then a GPU for every worker")
    args = parser.parse_args()
    filesystem, source = located(args.source)
    kind = filesystem.get_file_info(source).type
    if kind == FileType.NotFound:
        parser.error(f"{args.source} does not exist")
    if kind == FileType.File:
        parser.error(f"{args.source} is one file, for which srblocks-upscale is there; give its folder")
    names = listed(filesystem, source)
    if not names:
        parser.error(f"{args.source} holds no images; give files that end in {', '.join(FORMATS)}")
    if not are_apart((filesystem, source), located(args.target), names):
        parser.error(f"{args.target} is {args.source}, lies in it or would overwrite it; give another target")

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
    print(f"{total - failed} of {total} enlarged")
    return 0 if not failed else 10 if failed < total else 9


if __name__ == "__main__":
    sys.exit(main())

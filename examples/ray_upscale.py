"""Enlarge the pictures of a folder or a bucket with as many workers as a Ray cluster has room for.

    pip install "srblocks[ray,image]"
    python examples/ray_upscale.py photos enlarged --workers 2
    python examples/ray_upscale.py s3://bucket/photos s3://bucket/enlarged --model fsrcnn --scale 4 --workers 64

Runs on this machine, or on the cluster that RAY_ADDRESS names. Every worker holds the model and does what
`srblocks-upscale` does, so the files are the same to the byte. Trees of folders are kept, and outputs that exist are
overwritten, since Ray begins a picture again when a machine is lost; a file has its name only when it is whole. A
picture that cannot be enlarged is named on standard error and the others are done: exit code 10, and 9 where there was
no other.
"""

import argparse
import sys
from pathlib import Path
from posixpath import basename, splitext
from typing import Any

import ray
import ray.data
from pyarrow.fs import FileSystem, FileType, LocalFileSystem

from srblocks.files import atomic_path
from srblocks.upscale import open_upscaler
from srblocks.upscale.images import FORMATS
from srblocks.upscale.jobs import upscale_bytes


class Worker:
    """Enlarges and stores one picture after the other."""

    def __init__(self, model: str, scale: int | None, device: str, source: str, target: str) -> None:
        self.upscaler = open_upscaler(model, scale=scale, device=device)
        self.source = source
        self.filesystem, self.folder = located(target)

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Do one picture, and tell what kept it from being enlarged."""
        path = row["path"]
        name = path.partition(self.source)[2].lstrip("/") or basename(path)
        try:
            enlarged = upscale_bytes(self.upscaler, row["bytes"], format=FORMATS.get(splitext(name)[1].lower()))
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
    return filesystem, path.rstrip("/")


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
    if filesystem.get_file_info(source).type == FileType.NotFound:
        parser.error(f"{args.source} does not exist")

    ray.init(log_to_driver=False)
    pictures = ray.data.read_binary_files(
        source, filesystem=filesystem, include_paths=True, file_extensions=[suffix[1:] for suffix in FORMATS]
    )
    results = pictures.map(
        Worker,
        fn_constructor_args=(args.model, args.scale, args.device, source, args.target),
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

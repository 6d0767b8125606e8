"""The command: build an engine and record it in the manifest, or check whether one fits this machine."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .build import BuiltEngine, build_engine
from .errors import EngineError
from .files import write
from .host import Facts, compute_capability, header_problem, host_facts, misfit
from .libraries import LIBRARIES, Library, installed_library
from .locking import locked
from .options import add_build_options, argument_type, build_options, parse_shape

MANIFEST = "manifest.json"
EPILOG = """\
exit codes: 0 ok, 1 internal error, 2 usage or wrong shape, 3 output exists or cannot be written, 4 TensorRT or GPU
missing, 5 model rejected, 7 build failed, 8 engine does not fit this host, 9 bad input file.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description="Build an engine from an ONNX file with TensorRT or TensorRT for RTX.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("onnx", type=Path, metavar="MODEL.onnx")
    parser.add_argument(
        "engine", nargs="?", type=Path, metavar="MODEL.engine", help="Default: in the folder of the ONNX file."
    )
    for name in ("min", "opt", "max"):
        parser.add_argument(
            f"--{name}", type=argument_type(parse_shape), metavar="NxCxHxW", help="Default: from the manifest."
        )
    parser.add_argument(
        "--library",
        choices=tuple(LIBRARIES),
        help="What builds the engine. Default: by the suffix of the engine, or the one that is installed.",
    )
    add_build_options(parser)
    parser.add_argument("--force", action="store_true", help="Overwrite an existing engine.")
    parser.add_argument(
        "--check",
        action="store_true",
        help="Check whether a finished engine fits this machine, and stop.",
    )
    args = parser.parse_args(arguments)
    try:
        if not args.onnx.name:
            raise EngineError(901, f"no such file: {args.onnx}", "pass the path of an ONNX file")
        library = _library(args)
        engine = args.engine or args.onnx.with_suffix(library.suffix)
        print(_check(engine, library) if args.check else _build(args, engine, library))
    except EngineError as error:
        print(f"trt_engine: {error}", file=sys.stderr)
        return error.number // 100
    except OSError as error:
        print(f"trt_engine: E302 {error.filename}: {error.strerror}; choose another folder", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    return 0


def _library(args: argparse.Namespace) -> Library:
    if args.library:
        return LIBRARIES[args.library]
    by_suffix = [each for each in LIBRARIES.values() if args.engine and args.engine.name.endswith(each.suffix)]
    return max(by_suffix, key=lambda each: len(each.suffix)) if by_suffix else installed_library()


def _build(args: argparse.Namespace, engine: Path, library: Library) -> str:
    if not args.onnx.is_file():
        raise EngineError(901, f"no such file: {args.onnx}", "pass the path of an ONNX file")
    if engine.exists() and not args.force:
        raise EngineError(301, f"{engine} exists", "use --force to overwrite it")
    if not engine.absolute().parent.is_dir():
        raise EngineError(302, f"no such folder: {engine.parent}", "create it, or choose another folder")
    entry = _entry(args.onnx)
    if entry and hashlib.sha256(args.onnx.read_bytes()).hexdigest() != entry["artifact"]["sha256"]:
        raise EngineError(901, f"{args.onnx} does not match its manifest entry", "export it again")
    _entries(engine.parent)
    profile = _profile(args, entry)
    built = build_engine(args.onnx, profile, build_options(args), library=library)
    for warning in built.warnings:
        print(f"trt_engine: {warning}", file=sys.stderr)
    write(engine, built.plan)
    if entry is None:
        return f"{engine} written; srblocks_export.runtime cannot load it, because {args.onnx} has no {MANIFEST}"
    _record(engine, built, entry, profile, library, tf32=args.tf32)
    return f"{engine} and {engine.parent / MANIFEST} written; not verified"


def _check(engine: Path, library: Library) -> str:
    """Compare the manifest entry of an engine with this machine."""
    entry = _entry(engine)
    if entry is None:
        raise EngineError(901, f"{engine.parent / MANIFEST} does not list {engine.name}", "build it with this command")
    made = entry["artifact"]["portability"]
    ahead = "compute_capabilities" in made
    here = host_facts(None if ahead else 0, library)
    if reason := misfit(made, here) or header_problem(library.load(), engine.read_bytes()):
        raise EngineError(801, f"{engine.name}: {reason}", "build it again here from its ONNX file")
    if ahead:
        compute_capability()  # without a GPU the library only checks the header
    return f"{engine.name} fits this machine"


def _profile(args: argparse.Namespace, entry: Facts | None) -> list[tuple[int, ...]] | None:
    """Return smallest, optimal and largest shape, from the flags or the manifest; None unless all three are known."""
    recorded = entry["io"]["input"] if entry else {}
    defaults = recorded | (entry["artifact"].get("engine_input", {}) if entry else {})
    shapes = {name: getattr(args, name) or defaults.get(name) for name in ("min", "opt", "max")}
    for flag, shape in shapes.items():
        for axis, size in enumerate(shape if recorded and shape else ()):
            low, high, multiple = (
                recorded["min"][axis],
                recorded["max"][axis],
                recorded["size_multiple"] if axis > 1 else 1,
            )
            if size is not None and (size < low or size > (high or size) or size % multiple):
                allowed = f"{low}..{high or 'any'} in multiples of {multiple}"
                raise EngineError(202, f"--{flag}: size {size} of axis {axis} is out of range", f"use {allowed}")
    low, optimum, high = (shape and tuple(shape) for shape in shapes.values())
    if not args.opt and low and high and None not in high:
        optimum = tuple(max(a, min(b, c)) for a, b, c in zip(low, optimum or high, high))
    shapes["opt"] = optimum
    profile = [tuple(shape) for shape in shapes.values() if shape and None not in shape]
    return profile if len(profile) == len(shapes) else None


def _record(
    engine: Path,
    built: BuiltEngine,
    source: Facts,
    profile: list[tuple[int, ...]] | None,
    library: Library,
    *,
    tf32: bool,
) -> None:
    """Write the engine's manifest entry: that of its ONNX file with another file and sizes."""
    entry = json.loads(json.dumps(source))
    entry["artifact"] = {
        "file": engine.name,
        "format": library.format,
        "bytes": len(built.plan),
        "sha256": hashlib.sha256(built.plan).hexdigest(),
        "extra_files": [],
        "portability": built.facts,
    }
    entry["warnings"] = list(built.warnings)
    entry["precision"]["tf32"] = tf32
    entry["verify"] = {"status": "off"}
    if profile:
        entry["io"]["input"].update(zip(("min", "opt", "max"), map(list, profile)))
    with locked(engine.parent):
        others = [item for item in _entries(engine.parent) if item["artifact"]["file"] != engine.name]
        entries = sorted([*others, entry], key=lambda item: item["artifact"]["file"])
        text = json.dumps({"schema": entry["schema"], "artifacts": entries}, indent=2, sort_keys=True)
        write(engine.parent / MANIFEST, text.encode() + b"\n")


def _entry(path: Path) -> Facts | None:
    return next((item for item in _entries(path.parent) if item["artifact"]["file"] == path.name), None)


def _entries(folder: Path) -> list[Facts]:
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text())
        return [item for item in content["artifacts"] if isinstance(item["artifact"]["file"], str)]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EngineError(901, f"{path} is not a manifest of srblocks-export", "move it elsewhere") from error


if __name__ == "__main__":
    sys.exit(main())

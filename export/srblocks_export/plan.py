"""`plan_export`: prepare an export and reject what cannot succeed, before anything is written."""

import contextlib
import copy
import errno
import tempfile
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from srblocks._utils.memory import is_out_of_memory
from srblocks.network import Network
from srblocks.rewrites import optimize

from .config import ExportConfig
from .errors import ExportError, invalid_option
from .formats import FORMATS
from .manifest import Manifest, RewriteInfo, describe, read_entries
from .precision import convert
from .shapes import Shapes


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
    min_size = net.min_size if config.shape else _dynamic_min_size(net)
    return config.shapes(
        image_channels=net.image_channels, min_size=min_size, size_multiple=net.size_multiple, bounded=bounded
    )


def _dynamic_min_size(net: Network) -> int:
    """Return the minimum H and W of programs with dynamic sizes, which blocks may raise.

    torch.export treats sides of a single pixel inside a network as another program.
    """
    return max([net.min_size, *(getattr(module, "dynamic_min_size", 1) for module in net.modules())])


def plan_export(net: nn.Module, config: ExportConfig) -> Plan:
    """Prepare an export and reject what cannot succeed; writes nothing.

    Raises:
        TypeError: `net` is not a `Network`.
        ExportError: E200 unknown rewrites or wrong modules to keep in float32, E202 wrong shape, E301 existing output,
            E302 unwritable folder, E303 invalid manifest.json, E601 values exceed the precision's range, E701 too
            little memory, E903 invalid calibration images.
    """
    if not isinstance(net, Network):
        remedy = "pass scale= as well, or srblocks.as_network(module, scale=...)"
        raise TypeError(f"net must be a srblocks.Network, got {type(net).__name__}; {remedy}")
    reference = copy.deepcopy(net).cpu().float().eval()
    network_shapes(reference, config)
    net = _optimized(reference, config)
    shapes = {name: network_shapes(net, config, bounded=FORMATS[name].needs_range) for name in config.formats}
    widest = shapes[config.formats[0]]
    manifest = describe(reference, widest)
    paths = _output_paths(net, manifest, config)
    _check_outputs(paths, config)
    with enough_memory(widest):
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
    with writing(config.out):
        for path in paths.values():
            if path.is_dir():
                raise ExportError(301, f"{path} is a folder", "use another folder with -o, or another --name")
            if path.exists() and not config.force:
                raise ExportError(301, f"{path} exists", "use --force to overwrite it, or another folder with -o")
        read_entries(config.out)
        existing = next(folder for folder in (config.out, *config.out.absolute().parents) if folder.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass


@contextlib.contextmanager
def enough_memory(shapes: Shapes) -> Generator[None, None, None]:
    """Convert a lack of memory for the network to E701."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        cause = f"not enough memory to run the network at {shapes}"
        raise ExportError(701, cause, "use a smaller --shape or --min, or --verify off") from error


@contextlib.contextmanager
def writing(
    folder: Path | str, elsewhere: str = "choose another folder with -o, or change its permissions"
) -> Generator[None, None, None]:
    """Convert errors of the operating system to E302."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))
        remedy = "free some space" if full else elsewhere
        raise ExportError(302, f"{folder} cannot be written ({error.strerror or error})", remedy) from error

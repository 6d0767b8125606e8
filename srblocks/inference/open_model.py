"""Open a model: a registry name, a weights file or an exported artifact."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .._utils.arguments import parse_argument
from .._utils.memory import is_out_of_memory
from ..checkpoints import WrongScaleError, load_checkpoint
from ..checkpoints.build import build_on_meta
from ..checkpoints.errors import UnknownLayoutError
from ..color import on_rgb
from ..errors import ArgumentError
from ..network import Network
from ..networks import network_name, network_spec
from ..pretrained import DEFAULT_NETWORK, list_pretrained, pretrained_path
from ..registry import NetworkSpec, UnknownNetworkError
from ..rewrites import optimize
from .artifacts import from_artifact, runtime_of
from .errors import UpscaleError
from .foreign import from_spandrel, import_modules
from .upscaler import Upscaler, from_network

PathLike = str | os.PathLike[str]

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".mat", ".pth.tar")
"""Suffixes of weights files; existing files with other suffixes are opened, too."""


@dataclass(frozen=True)
class ModelSource:
    """Description of a model to open.

    Attributes:
        model: registry name, bundled weights such as "fsrcnn_x2", weights file, or exported artifact; None for the
            network of `weights`, or `DEFAULT_NETWORK`.
        weights: weights file for the network `model`; None for those that `model` includes, or bundled ones.
        network: registry name of a weights file that does not reveal it.
        scale: scale factor; None for that of the file, or the smallest one available.
        color: color space of the images, "rgb" or "y"; None for that of the network. "rgb" adds color conversions to
            networks on luma.
        arguments: constructor arguments that the weights do not reveal, by name or as ``KEY=VALUE``.
        seed: seed of random weights if none are available; None to require weights.
        optimize: apply `srblocks.optimize` to the network of an upscaler.
        device: torch device of the network of an upscaler.
        imports: modules that register networks, by name or as a ``.py`` file; they are imported first.
    """

    model: PathLike | None = None
    weights: PathLike | None = None
    network: str | None = None
    scale: int | None = None
    color: str | None = None
    arguments: Mapping[str, object] | Sequence[str] = field(default_factory=dict[str, object])
    seed: int | None = None
    optimize: bool = True
    device: str = "cpu"
    imports: Sequence[str] = ()

    def weights_file(self) -> Path | None:
        """Return the weights file, or None if `model` is a registry name.

        Raises:
            ArgumentError: two weights files, a URL or a folder.
        """
        if self.model is None:
            return Path(self.weights) if self.weights else None
        text = os.fspath(self.model)
        if "://" in text:
            raise ArgumentError(f"model must be a name or a local file, got {text}", "download the file first")
        is_known = text.lower().endswith(WEIGHTS_SUFFIXES)
        if not is_known and (_is_registered(text) or not _exists(text)):
            return Path(self.weights) if self.weights else None
        if self.weights:
            raise ArgumentError(f"two weights files: {text} and {self.weights}", "remove one, or name the network")
        if Path(text).is_dir():
            raise ArgumentError(f"model must be a name or a file, got the folder {text}")
        return Path(text)

    @property
    def network_name(self) -> str | None:
        """The registry name given with a weights file."""
        return self.network or (os.fspath(self.model) if self.weights and self.model is not None else None)

    def constructor_arguments(self, spec: NetworkSpec | None) -> dict[str, object]:
        """Return the constructor arguments by name, checked against a network unless it is unknown.

        Raises:
            ArgumentError: a wrong argument.
        """
        if isinstance(self.arguments, Mapping):
            return dict(self.arguments)
        return dict(parse_argument(pair, spec) for pair in self.arguments)


def open_network(source: ModelSource) -> tuple[Network, list[str]]:
    """Return the network of a registry name or weights file in eval mode, and warnings for the user.

    Weights for any scale are used at scale 1, or at the smallest scale of a network that is named.

    Raises:
        UnknownNetworkError: no network has this name.
        WrongScaleError: the network or the weights do not support the scale.
        ArgumentError: a wrong argument; `MissingArgumentError` if one is missing.
        CheckpointError: invalid weights.
        MissingLibraryError: a library to read the weights is not installed.
        OSError: the weights file cannot be read.

    Examples:
        >>> open_network(ModelSource("fsrcnn", scale=2))[0].scale
        2
    """
    import_modules(source.imports)
    path = source.weights_file()
    if path:
        name = source.network_name
        net, warnings = _with_scale(path, network_spec(name) if name else None, source)
    else:
        net, warnings = _named(source)
    return _in_color(net, source.color), warnings


def _in_color(net: Network, color: str | None) -> Network:
    if color in (None, net.color):
        return net
    if color != "rgb":
        raise ArgumentError(f"the network works on {net.color} images, not on {color}", "remove the color")
    return on_rgb(net)


def _named(source: ModelSource) -> tuple[Network, list[str]]:
    """Return a registered network with bundled or random weights."""
    name = os.fspath(source.model or DEFAULT_NETWORK)
    if name in list_pretrained():
        name, _, scale = name.rpartition("_x")
        if source.scale not in (None, int(scale)):
            raise WrongScaleError(f"{name}_x{scale} has scale {scale}, not {source.scale}", f"use {name}")
        bundled = pretrained_path(name, scale=int(scale))
        spec = network_spec(name)
    else:
        spec = network_spec(name)
        _check_scale(source.scale, spec)
        scales = [source.scale] if source.scale else spec.scales
        bundled = next(filter(None, (pretrained_path(name, scale=scale) for scale in sorted(scales))), None)
    if bundled and not source.arguments:
        return load_checkpoint(bundled), []
    if source.seed is None:
        if bundled:
            raise ArgumentError("arguments and network are only for weights files", f"remove them from {name}")
        at = f" at scale {source.scale}" if source.scale else ""
        available = ", ".join(list_pretrained())
        raise ArgumentError(f"no bundled weights for {name}{at}; available: {available}", "pass a weights file")
    return _random(spec, source, source.seed)


def _random(spec: NetworkSpec, source: ModelSource, seed: int) -> tuple[Network, list[str]]:
    """Build a network with random weights."""
    torch.manual_seed(seed)
    scale = source.scale or spec.default_scale
    arguments = source.constructor_arguments(spec)
    try:
        build_on_meta(spec.name, {**arguments, "scale": scale})  # rejects networks that are too large to build
        net = spec.create(scale=scale, **arguments).eval()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        if is_out_of_memory(error):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ArgumentError(f"cannot build {spec.name}: {reason}", "see the arguments in its docstring") from None
    return net, [f"warning: random weights (seed {seed}) for {spec.name} x{scale}; pass trained ones with --weights"]


def _with_scale(path: Path, spec: NetworkSpec | None, source: ModelSource) -> tuple[Network, list[str]]:
    """Load weights, with a warning if the scale is a default."""
    if spec:
        _check_scale(source.scale, spec)
    net = _load(path, spec, source, source.scale)
    any_scale = net.scale == 1 and net.framework == "pre"
    if source.scale is not None or (not any_scale and len(net.scales) == 1):
        return net, []
    if any_scale and not spec:
        reason = "at scale 1 the network takes images that are upscaled already"
    elif any_scale and spec:
        net = _load(path, spec, source, spec.default_scale)
        reason = f"the weights support any scale, using x{net.scale}"
    else:
        reason = f"the weights support {', '.join(f'x{scale}' for scale in net.scales)}, using x{net.scale}"
        net = net.at_scale(net.scale)
    return net, [f"warning: {reason}; choose another with --scale"]


def _load(path: Path, spec: NetworkSpec | None, source: ModelSource, scale: int | None) -> Network:
    arguments = source.constructor_arguments(spec)
    try:
        return load_checkpoint(path, network=spec.name if spec else None, scale=scale, **arguments)
    except UnknownLayoutError as error:
        if spec or source.arguments:
            raise
        net = from_spandrel(path, error)
        if scale not in (None, net.scale):
            raise WrongScaleError(f"{path}: weights for scale {net.scale}, not {scale}") from error
        return net
    except TypeError as error:
        raise ArgumentError(f"{path}: {error}", "see the arguments in the network's docstring") from error


def _check_scale(scale: int | None, spec: NetworkSpec) -> None:
    """Raise if a network does not support a scale; with pre-upsampling it also takes images upscaled already, x1."""
    if scale not in (None, *spec.scales) and not (scale == 1 and spec.framework == "pre"):
        choices = ", ".join(map(str, spec.scales))
        raise WrongScaleError(f"{spec.name} does not support scale {scale}", f"use {choices}")


def _is_registered(name: str) -> bool:
    try:
        return name in list_pretrained() or network_spec(name).name == name
    except UnknownNetworkError:
        return False


def _exists(path: PathLike) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # cannot be a path
        return False


def open_upscaler(source: ModelSource | PathLike, **options: Any) -> Upscaler:
    """Open a registry name with bundled weights, a weights file or an artifact as an upscaler.

    Args:
        source: the model; a name or path stands for an RGB model, ``ModelSource(source, color="rgb", **options)``.
        options: fields of `ModelSource`.

    Raises:
        SRBlocksError: the model cannot be opened here, or has another scale or color.
        OSError: the weights file cannot be read.

    Examples:
        >>> import numpy as np
        >>> open_upscaler("fsrcnn", scale=2).upscale(np.zeros((30, 40, 3), np.uint8)).shape
        (60, 80, 3)
    """
    if not isinstance(source, ModelSource):
        options.setdefault("color", "rgb")
        source = ModelSource(source, **options)
    if source.color not in (None, "rgb", "y"):
        raise ArgumentError(f"color must be rgb or y, got {source.color!r}")
    import_modules(source.imports)
    if source.model is not None and runtime_of(source.model):
        return _artifact(source, Path(source.model))
    path = source.weights_file()
    if not path and (source.network or source.arguments):
        given = "network" if source.network else "arguments"
        raise ArgumentError(f"{given} can only be passed with a weights file, not with {source.model or 'a name'}")
    try:
        torch.empty(1, device=source.device)
    except (RuntimeError, AssertionError) as error:
        raise UpscaleError(f"device {source.device} is not available", "use cpu", exit_code=4) from error
    if path:
        spec = network_spec(source.network_name) if source.network_name else None
        net = _load(path, spec, source, source.scale)
        if source.scale is None and net.scale == 1 and net.framework == "pre":
            raise ArgumentError(f"{path}: weights of {network_name(net)} support any scale", "pass the scale")
    else:
        net, _ = _named(source)
    name = f"{getattr(net, 'name', None) or network_name(net)} ({path.name if path else 'bundled weights'})"
    net = _in_color(net, source.color)
    return from_network(optimize(net) if source.optimize else net, name, device=source.device)


def _artifact(source: ModelSource, path: Path) -> Upscaler:
    """Open an artifact and check it against the source."""
    given = {"network": source.network, "arguments": source.arguments, "weights": source.weights}
    if names := [name for name, value in given.items() if value]:
        raise ArgumentError(f"{path} is an artifact, which includes {' and '.join(names)}", "remove them")
    if source.device != "cpu":
        raise ArgumentError(f"{path} runs on the device that it was exported for", f"remove {source.device}")
    upscaler = from_artifact(path, color="rgb" if source.color == "rgb" else None)
    if source.scale not in (None, upscaler.scale):
        raise WrongScaleError(f"{path} has scale {upscaler.scale}, not {source.scale}", f"use scale {upscaler.scale}")
    if source.color not in (None, upscaler.color):
        raise ArgumentError(f"{path} works on {upscaler.color} images, not on {source.color}")
    return upscaler

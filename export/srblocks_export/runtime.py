"""Running artifacts: one callable for every format, with the ranges of the manifest checked.

from srblocks_export import runtime

sr = runtime.load("fsrcnn_x2_fp32_dyn.onnx")(lr)
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ExportError, InputError, first_line
from .formats import FORMATS, format_of
from .manifest import SCHEMA
from .shapes import Shapes

_LARGEST_SCALE = 64


class Artifact:
    """A loaded artifact: ``artifact(lr) -> sr``.

    Takes and gives NumPy arrays or torch tensors, whichever it is called with: floating point, N x C x H x W, values in
    [0, 1]. The output is float32, up to over- and undershoot in [0, 1], and lies where the input lies. What runs on
    CUDA takes CUDA tensors as they are, on the caller's current stream.

    Engines, AOTInductor packages and programs with engines inside are machine code: load those that you trust. Of the
    others nothing is executed but operations on tensors: no pickles, no code of Python, no other file is read or
    written. Archives are checked for damage; what SHA-256 a file had when it was exported stands in manifest.json.

    Args:
        path: the file; its suffix names the format.
        cuda_graph: of engines: capture a CUDA graph of the shape and replay it while the shape stays, which saves the
            launches of small networks.
        reuse_output: of engines: give the same tensor at every call of one shape; it holds until the next call.
        entry: the manifest's entry of an engine that is not in manifest.json yet.

    Attributes:
        path: the file.
        format: its row in the table of formats.
        manifest: what the file says of itself: model, io, precision, rewrites.
        scale: enlargement per side.
        shapes: the input sizes that it takes.
        receptive_radius: how far an output pixel looks, in low-resolution pixels; None = the whole image.
        device: where it runs, such as "cpu" or "cuda:0".
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        cuda_graph: bool = False,
        reuse_output: bool = False,
        entry: dict[str, Any] | None = None,
    ) -> None:
        """Load a file.

        Raises:
            ExportError: E901, no artifact of srblocks, or corrupt; E401, E402, the libraries or the device to run it
                are missing; E801, it was made for another kind of machine; E200, an option of another format.
        """
        self.path = Path(path)
        row = format_of(self.path)
        if row is None:
            suffixes = ", ".join(known.suffix for known in FORMATS.values())
            raise ExportError(901, f"{path} is of no known format", f"give a file that ends in {suffixes}")
        if not self.path.is_file():
            raise ExportError(901, f"{path} is no file", "give the path of an exported artifact")
        options = {"cuda_graph": cuda_graph, "reuse_output": reuse_output}
        if foreign := [name for name, wanted in options.items() if wanted and name not in row.options]:
            raise ExportError(200, f"{row.name} artifacts have no {', '.join(foreign)}", "leave it out")
        options = {name: wanted for name, wanted in options.items() if name in row.options}
        if missing := row.missing(build=False):
            cause = f"{row.name} artifacts cannot run here: {missing.what}"
            raise ExportError(missing.number, cause, missing.remedy)
        self.format = row
        try:
            module = row.module
        except ImportError as error:
            reason = first_line(error)
            raise ExportError(401, f"{row.name} artifacts cannot run here: {reason}", row.remedy) from error
        self._arrays = module.ARRAYS
        try:
            loaded = module.read(self.path, **options, **({"entry": entry} if row.sidecar else {}))
        except ExportError:
            raise
        except Exception as error:  # every backend raises its own types for a file that it cannot read
            reason = first_line(error)
            raise ExportError(901, f"{path} cannot be loaded as {row.name} ({reason})", "export it again") from error
        self._run, self.manifest, self.device = loaded.run, loaded.manifest, loaded.device
        try:
            if self.manifest["schema"] != SCHEMA:
                raise ValueError("another schema")
            self.scale = _scale(self.manifest)
            self.receptive_radius = _radius(self.manifest)
            self.shapes = Shapes.from_manifest(self.manifest["io"]["input"])
        except (KeyError, TypeError, ValueError) as error:
            raise ExportError(
                901, f"{path} carries no usable {SCHEMA} manifest ({first_line(error)})", "export it again"
            ) from error

    def __call__(self, lr: Any) -> Any:
        """Enlarge the images `lr`.

        Raises:
            InputError: E202, a shape out of range; E204, not floating point.
            ExportError: E901, it does not run on what its manifest says that it takes, or gives another shape.
            Exception: the backend's own where memory is short, see `srblocks._utils.memory.is_out_of_memory`.
        """
        is_array = isinstance(lr, np.ndarray)
        if not is_array and not hasattr(lr, "detach"):
            raise InputError(204, f"the input is a {type(lr).__name__}", "give a NumPy array or a torch tensor")
        self.shapes.check(tuple(lr.shape))
        floating = np.issubdtype(lr.dtype, np.floating) if is_array else lr.dtype.is_floating_point
        if not floating:
            raise InputError(204, f"the input is {lr.dtype}", "give floating point values in [0, 1], such as lr / 255")
        if is_array and self._arrays == "torch":
            import torch

            return self._sr(torch.from_numpy(np.require(lr, np.float32, ["C", "W"])).to(self.device)).cpu().numpy()
        if is_array:
            return self._sr(lr.astype(np.float32, copy=False))
        if self._arrays == "numpy":
            import torch

            return torch.from_numpy(self._sr(lr.detach().float().cpu().resolve_neg().numpy())).to(lr.device)
        return self._sr(lr.detach().float().to(self.device)).to(lr.device)

    def _sr(self, lr: Any) -> Any:
        """Run it, and see that it is what its manifest says."""
        given = "x".join(map(str, lr.shape))
        try:
            sr = self._run(lr)
        except Exception as error:  # every backend raises its own types
            from srblocks._utils.memory import is_out_of_memory

            if isinstance(error, ExportError) or is_out_of_memory(error):
                raise
            cause = f"{self.path} does not run on {given} ({first_line(error)})"
            raise ExportError(901, cause, "export it again") from error
        count, channels, height, width = lr.shape
        found = tuple(getattr(sr, "shape", ()))
        if found != (count, channels, height * self.scale, width * self.scale):
            gives = "x".join(map(str, found)) or "no image"
            cause = f"{self.path} gives {gives} for {given}, not x{self.scale} as its manifest says"
            raise ExportError(901, cause, "export it again")
        return sr


def _scale(manifest: dict[str, Any]) -> int:
    scale = manifest["model"]["scale"]
    if type(scale) is not int or not 1 <= scale <= _LARGEST_SCALE:
        raise ValueError(f"scale={ascii(scale)[:40]}")
    return scale


def _radius(manifest: dict[str, Any]) -> int | None:
    """Read the receptive radius, and see that what else describes the network is there.

    Raises:
        KeyError, TypeError, ValueError: it is not.
    """
    model, color = manifest["model"], manifest["io"]["input"]["color"]
    kinds = ((model["name"], str), (model["config"], dict), (color, str))
    if not all(isinstance(value, kind) for value, kind in kinds):
        raise ValueError("no name, config and color of a network")
    radius = model["receptive_radius"]
    if radius is not None and (type(radius) is not int or not 0 <= radius < 2**20):
        raise ValueError(f"receptive_radius={ascii(radius)[:40]}")
    return radius


load = Artifact

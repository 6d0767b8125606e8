"""Running artifacts: one callable for every format, with the ranges of the manifest checked.

from srblocks_export import runtime

sr = runtime.load("fsrcnn_x2_fp32_dyn.onnx")(lr)
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ExportError, InputError, first_line
from .formats import FORMATS, format_of
from .manifest import SCHEMA
from .shapes import Shapes


class Artifact:
    """A loaded artifact: ``artifact(lr) -> sr``.

    Takes and gives NumPy arrays or torch tensors, whichever it is called with: floating point, N x C x H x W, values in
    [0, 1]. The output is float32, up to over- and undershoot in [0, 1].

    Attributes:
        path: the file.
        format: its row in the table of formats.
        manifest: what the file says of itself: model, io, precision, rewrites.
        scale: enlargement per side.
        shapes: the input sizes that it takes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Load a file.

        Raises:
            ExportError: E901, no artifact of srblocks, or corrupt; E401, the libraries to run it are missing.
        """
        self.path = Path(path)
        row = format_of(self.path)
        if row is None:
            suffixes = ", ".join(known.suffix for known in FORMATS.values())
            raise ExportError(901, f"{path} is of no known format", f"give a file that ends in {suffixes}")
        if not self.path.is_file():
            raise ExportError(901, f"{path} is no file", "give the path of an exported artifact")
        if missing := row.missing():
            raise ExportError(401, f"{row.name} artifacts cannot run here: {missing}", row.remedy)
        self.format = row
        try:
            module = row.module
        except ImportError as error:
            reason = first_line(error)
            raise ExportError(401, f"{row.name} artifacts cannot run here: {reason}", row.remedy) from error
        self._arrays = module.ARRAYS
        try:
            self._run, self.manifest = module.read(self.path)
        except Exception as error:  # every backend raises its own types for a file that it cannot read
            reason = first_line(error)
            raise ExportError(901, f"{path} cannot be loaded as {row.name} ({reason})", "export it again") from error
        try:
            if self.manifest["schema"] != SCHEMA:
                raise ValueError("another schema")
            self.scale = int(self.manifest["model"]["scale"])
            self.shapes = Shapes.from_manifest(self.manifest["io"]["input"])
        except (KeyError, TypeError, ValueError) as error:
            raise ExportError(
                901, f"{path} carries no usable {SCHEMA} manifest", "give a file that srblocks-export wrote"
            ) from error

    def __call__(self, lr: Any) -> Any:
        """Enlarge the images `lr`.

        Raises:
            InputError: E202, a shape out of range; E204, not floating point.
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

            return self._run(torch.from_numpy(np.require(lr, np.float32, ["C", "W"]))).numpy()
        if is_array:
            return self._run(lr.astype(np.float32, copy=False))
        if self._arrays == "numpy":
            import torch

            return torch.from_numpy(self._run(lr.detach().float().cpu().resolve_neg().numpy())).to(lr.device)
        return self._run(lr.detach().float().cpu()).to(lr.device)


load: Callable[[str | os.PathLike[str]], Artifact] = Artifact

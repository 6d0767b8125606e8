"""Run artifacts of any format: `load` a file, call it with images.

import srblocks_export

sr = srblocks_export.load("fsrcnn_x2_fp32_dyn.onnx")(lr)
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from srblocks._utils.padding import reflected

from .errors import ExportError, InputError, first_line
from .formats import FORMATS, Format, Loaded, format_of
from .manifest import SCHEMA, Manifest

if TYPE_CHECKING:
    from torch import Tensor

ImagesT = TypeVar("ImagesT", "np.ndarray[Any, Any]", "Tensor")


class Artifact:
    """A loaded artifact: ``artifact(lr) -> sr``.

    Takes NumPy arrays or torch tensors and returns the same kind: floating point, (N, C, H, W), values in [0, 1]. The
    output is float32 on the device of the input; its values are about in [0, 1], so clamp them before rounding. CUDA
    artifacts run on the caller's current stream.

    Engines, AOTInductor packages and programs with engines are machine code: load only files that you trust. The other
    formats execute nothing but tensor operations: no pickle, no Python code, no access to other files. Archives are
    checked for damage; manifest.json records the SHA-256 of every file.

    Args:
        path: the file; its suffix determines the format.
        cuda_graph: engines only: capture a CUDA graph per shape and replay it while the shape is the same, which saves
            launch overhead.
        reuse_output: engines only: return the same tensor for every call with the same shape; it is valid until the
            next call.
        provider: ONNX files only: run on this execution provider of ONNX Runtime, "tensorrt-rtx", "tensorrt", "cuda" or
            "openvino", without falling back to the CPU; None for the CPU.
        entry: manifest of an engine that is not in manifest.json yet.

    Attributes:
        path: the file.
        format: its format.
        manifest: description of the network, inputs, precision and rewrites.
        network: registry name of the network, or the class name of an unregistered one.
        config: constructor arguments of the network.
        color: images that it takes, see `srblocks.network.COLORS`.
        scale: scale factor.
        shapes: accepted input sizes.
        receptive_radius: receptive-field radius in low-resolution pixels; None for the entire image.
        device: device that it runs on, such as "cpu" or "cuda:0".
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        cuda_graph: bool = False,
        reuse_output: bool = False,
        provider: str | None = None,
        entry: dict[str, Any] | None = None,
    ) -> None:
        """Load a file.

        Raises:
            ExportError: E901, not an artifact, or corrupt; E401, E402, the libraries or the device to run it are
                missing; E403, the provider does not run every node; E801, built for another kind of machine; E200, an
                option of another format, or an unknown provider.
        """
        self.path = Path(path)
        found = format_of(self.path)
        if found is None:
            suffixes = ", ".join(known.suffix for known in FORMATS.values())
            raise ExportError(901, f"{path} has no known suffix", f"known suffixes: {suffixes}")
        if not self.path.is_file():
            raise ExportError(901, f"no such file: {path}", "pass the path of an exported artifact")
        self.format = found
        wanted = {"cuda_graph": cuda_graph, "reuse_output": reuse_output, "provider": provider}
        loaded = _read(self.path, found, wanted, entry)
        self._run, self.device, self._arrays = loaded.run, loaded.device, found.arrays
        try:
            self.manifest = Manifest.from_dict(loaded.manifest)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            cause = f"{path} has no valid {SCHEMA} manifest ({first_line(error)})"
            raise ExportError(901, cause, "export it again") from error
        model = self.manifest.model
        self.network, self.config, self.scale = model.name, model.config, model.scale
        self.receptive_radius = model.receptive_radius
        self.color = self.manifest.input.color
        self.shapes = self.manifest.shapes

    def __repr__(self) -> str:
        return (
            f"Artifact({self.network} x{self.scale}, {self.format.name}, {self.color} images {self.shapes}, "
            f"device={self.device!r})"
        )

    def __call__(self, lr: ImagesT) -> ImagesT:
        """Upscale the images `lr`.

        Height and width that are not multiples of ``shapes.multiple`` are padded by reflection at the bottom and right,
        and the output is cropped.

        Raises:
            InputError: E202, shape out of range; E204, not floating point.
            ExportError: E901, it fails on an input that its manifest accepts, or returns another shape.
            Exception: the backend's own out-of-memory error, see `srblocks._utils.memory.is_out_of_memory`.
        """
        images: Any = lr
        is_array = isinstance(images, np.ndarray)
        if not is_array and not hasattr(images, "detach"):
            raise InputError(204, f"input is a {type(images).__name__}", "pass a NumPy array or a torch tensor")
        shape = tuple(images.shape)
        padded = self.shapes.padded(shape)
        self.shapes.check(padded)
        floating = np.issubdtype(images.dtype, np.floating) if is_array else images.dtype.is_floating_point
        if not floating:
            raise InputError(204, f"input is {images.dtype}", "pass floating-point values in [0, 1], such as lr / 255")
        if padded == shape:
            return self._upscaled(images)
        rows, columns = map(reflected, shape[2:], padded[2:])
        height, width = (side * self.scale for side in shape[2:])
        return self._upscaled(images[:, :, rows][..., columns])[..., :height, :width]

    def _upscaled(self, images: Any) -> Any:
        """Upscale images of an accepted size; return the same kind of array."""
        is_array = isinstance(images, np.ndarray)
        if is_array and self._arrays == "torch":
            import torch

            tensor = torch.from_numpy(np.require(images, np.float32, ["C", "W"]))
            return self._checked(tensor.to(self.device)).cpu().numpy()
        if is_array:
            return self._checked(images.astype(np.float32, copy=False))
        if self._arrays == "numpy":
            import torch

            array = images.detach().float().cpu().resolve_neg().numpy()
            return torch.from_numpy(self._checked(array)).to(images.device)
        return self._checked(images.detach().float().to(self.device)).to(images.device)

    def _checked(self, lr: Any) -> Any:
        """Run the artifact and check the output against the manifest."""
        given = "x".join(map(str, lr.shape))
        try:
            sr = self._run(lr)
        except Exception as error:  # every backend raises its own types
            from srblocks._utils.memory import is_out_of_memory

            if isinstance(error, ExportError) or is_out_of_memory(error):
                raise
            cause = f"{self.path} fails on {given} ({first_line(error)})"
            raise ExportError(901, cause, "export it again") from error
        count, channels, height, width = lr.shape
        found = tuple(getattr(sr, "shape", ()))
        if found != (count, channels, height * self.scale, width * self.scale):
            returned = "x".join(map(str, found)) or "no image"
            cause = f"{self.path} returns {returned} for {given}, but its manifest says x{self.scale}"
            raise ExportError(901, cause, "export it again")
        return sr


def _read(path: Path, found: Format, wanted: dict[str, Any], entry: dict[str, Any] | None) -> Loaded:
    """Load the file with the libraries of its format."""
    if foreign := [name for name, value in wanted.items() if value and name not in found.load_options]:
        raise ExportError(200, f"{found.name} artifacts have no option {', '.join(foreign)}", "remove it")
    options = {name: value for name, value in wanted.items() if name in found.load_options}
    cannot = f"{found.name} artifacts cannot run here"
    if missing := found.missing(build=False):
        raise ExportError(missing.number, f"{cannot}: {missing.what}", missing.remedy)
    try:
        return found.read(path, entry=entry, **options)
    except ExportError:
        raise
    except ImportError as error:
        raise ExportError(401, f"{cannot}: {first_line(error)}", found.remedy) from error
    except Exception as error:  # every backend raises its own types for an invalid file
        reason = first_line(error)
        raise ExportError(901, f"{path} cannot be loaded as {found.name} ({reason})", "export it again") from error


def can_load(path: str | os.PathLike[str]) -> bool:
    """Return whether the suffix of a file is that of an artifact; the file need not exist."""
    return format_of(Path(path)) is not None


def load(
    path: str | os.PathLike[str],
    *,
    cuda_graph: bool = False,
    reuse_output: bool = False,
    provider: str | None = None,
    entry: dict[str, Any] | None = None,
) -> Artifact:
    """Load an artifact; see `Artifact` for the arguments and errors."""
    return Artifact(path, cuda_graph=cuda_graph, reuse_output=reuse_output, provider=provider, entry=entry)

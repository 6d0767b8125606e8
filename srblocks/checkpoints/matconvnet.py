"""MatConvNet's .mat files: VDSR's cells of weights and biases, and the DagNN structures of LapSRN and MS-LapSRN."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import BoundError, CheckpointError, shown
from .limits import check_matlab_file

_RECURSION = re.compile(r".*_R(\d{1,3})_conv1")


def read_matconvnet(path: Path, start: bytes) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Read a file as tensors by layer name, ``<layer>.weight`` and ``<layer>.bias``.

    Filters of MatConvNet are (height, width, in, out), those of transposed convolutions (height, width, out, in): both
    become torch's order by the same permutation.

    Args:
        path: the file.
        start: its first bytes.

    Returns:
        Tensors; no metadata; the number of recursions where the names of the layers show it.

    Raises:
        ImportError: scipy is missing.
        CheckpointError: the file is corrupt or holds something else.
    """
    if b"MATLAB 7.3" in start or start.startswith(b"\x89HDF"):
        raise CheckpointError(f"{path}: saved in MATLAB's format 7.3; save it with -v7 in MATLAB or Octave")
    try:
        from scipy.io import loadmat  # noqa: PLC0415 (an optional extra)
    except ImportError as error:
        raise ImportError(f'{path}: reading .mat files needs scipy; pip install "srblocks[mat]"') from error
    try:
        check_matlab_file(path)
        content = loadmat(path, appendmat=False, struct_as_record=False)
    except BoundError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except Exception as error:  # scipy raises whatever the bytes of a damaged file lead to
        if isinstance(error, OSError) and error.errno:
            raise
        raise CheckpointError(f"{path}: not a readable .mat file, or truncated") from error
    try:
        if "model" in content:
            return _cells(_first(content["model"])), {}, {}
        if "net" in content:
            net = _first(content["net"])
            return _dagnn(net), {}, _recursions(net)
    except (AttributeError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise CheckpointError(f"{path}: its MatConvNet structure is unreadable ({shown(str(error))})") from error
    names = shown(", ".join(name for name in content if not name.startswith("__")) or "nothing")
    raise CheckpointError(
        f"{path}: holds {names}; expected 'net' with params (MatConvNet's DagNN) or 'model' with weight and bias"
    )


def _first(array: Any) -> Any:
    """Unwrap a structure or a text, which the reader gives as an array of one, within another one in a cell."""
    while isinstance(array, np.ndarray):
        array = array.flat[0]
    return array


def _structures(array: Any) -> list[Any]:
    """Give the elements of an array of structures, or of a cell array of them."""
    return [_first(each) for each in np.asarray(array).flat]


def _cells(model: Any) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    pairs = zip(np.asarray(model.weight).flat, np.asarray(model.bias).flat, strict=True)
    for number, (weight, bias) in enumerate(pairs, start=1):
        tensors[f"conv{number}.weight"] = _filters(weight)
        tensors[f"conv{number}.bias"] = _numbers(bias).flatten()
    return tensors


def _dagnn(net: Any) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for parameter in _structures(net.params):
        name = str(_first(parameter.name))
        if name.endswith("_f"):
            tensors[f"{name[:-2]}.weight"] = _filters(parameter.value)
        elif name.endswith("_b"):
            tensors[f"{name[:-2]}.bias"] = _numbers(parameter.value).flatten()
        else:
            raise ValueError(f"parameter {name} ends neither in _f nor in _b")
    return tensors


def _recursions(net: Any) -> dict[str, Any]:
    """Count the runs of a shared block, which DagNN writes out as layers ``x4SR_level1_R8_conv1``."""
    layers = _structures(getattr(net, "layers", []))
    runs = [int(match[1]) for layer in layers if (match := _RECURSION.fullmatch(str(_first(layer.name))))]
    return {"recursions": max(runs)} if runs else {}


def _numbers(array: Any) -> Tensor:
    values = np.asarray(array)
    if np.iscomplexobj(values):
        raise ValueError("complex numbers")
    kind = np.float64 if values.dtype == np.float64 else np.float32
    return torch.from_numpy(np.ascontiguousarray(values, dtype=kind))


def _filters(array: Any) -> Tensor:
    """Give a kernel in torch's order; MATLAB drops trailing dimensions of 1."""
    values = _numbers(array)
    return values[(..., *[None] * (4 - values.ndim))].permute(3, 2, 0, 1).contiguous()

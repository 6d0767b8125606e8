"""Reader of MatConvNet .mat files: cell arrays (VDSR) and DagNN structures (LapSRN, MS-LapSRN)."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import MissingLibraryError
from .errors import CheckpointError, LimitError, printable
from .limits import check_matlab_file

_RECURSION = re.compile(r".*_R(\d{1,3})_conv1")


def read_matconvnet(path: Path, start: bytes) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Read a file as tensors ``<layer>.weight`` and ``<layer>.bias``.

    MatConvNet stores filters as (height, width, in, out) and those of transposed convolutions as (height, width, out,
    in); the same permutation converts both to the order of torch.

    Args:
        path: the file.
        start: its first bytes.

    Returns:
        Tensors, empty metadata, and the number of recursions if the layer names reveal it.

    Raises:
        MissingLibraryError: scipy is not installed.
        CheckpointError: the file is corrupt or not a MatConvNet network.
    """
    if b"MATLAB 7.3" in start or start.startswith(b"\x89HDF"):
        raise CheckpointError(f"{path}: unsupported MATLAB 7.3 format", "save it with -v7 in MATLAB or Octave")
    try:
        from scipy.io import loadmat  # noqa: PLC0415 (an optional extra)
    except ImportError as error:
        raise MissingLibraryError(f"{path}: .mat files require scipy", 'pip install "srblocks[mat]"') from error
    try:
        check_matlab_file(path)
        content = loadmat(path, appendmat=False, struct_as_record=False)
    except LimitError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file can make scipy raise anything
        if isinstance(error, OSError) and error.errno:
            raise
        raise CheckpointError(f"{path}: corrupt or truncated .mat file") from error
    try:
        if "model" in content:
            return _cells(_first(content["model"])), {}, {}
        if "net" in content:
            net = _first(content["net"])
            return _dagnn(net), {}, _recursions(net)
    except (AttributeError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise CheckpointError(f"{path}: unreadable MatConvNet structure ({printable(str(error))})") from error
    names = printable(", ".join(name for name in content if not name.startswith("__")) or "nothing")
    raise CheckpointError(
        f"{path}: expected 'net' with params (MatConvNet DagNN) or 'model' with weight and bias, got {names}"
    )


def _first(array: Any) -> Any:
    """Unwrap a structure or string, which scipy returns in one or two arrays of one element."""
    while isinstance(array, np.ndarray):
        array = array.flat[0]
    return array


def _structures(array: Any) -> list[Any]:
    """Return the elements of a structure array or a cell array of structures."""
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
            raise ValueError(f"parameter {name} ends with neither _f nor _b")
    return tensors


def _recursions(net: Any) -> dict[str, Any]:
    """Return the number of recursions, which DagNN unrolls into layers ``x4SR_level1_R8_conv1``."""
    layers = _structures(getattr(net, "layers", []))
    runs = [int(match[1]) for layer in layers if (match := _RECURSION.fullmatch(str(_first(layer.name))))]
    return {"recursions": max(runs)} if runs else {}


def _numbers(array: Any) -> Tensor:
    values = np.asarray(array)
    if np.iscomplexobj(values):
        raise ValueError("complex values")
    kind = np.float64 if values.dtype == np.float64 else np.float32
    return torch.from_numpy(np.ascontiguousarray(values, dtype=kind))


def _filters(array: Any) -> Tensor:
    """Return a kernel in the order of torch; MATLAB drops trailing dimensions of 1."""
    values = _numbers(array)
    return values[(..., *[None] * (4 - values.ndim))].permute(3, 2, 0, 1).contiguous()

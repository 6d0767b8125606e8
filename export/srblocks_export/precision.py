"""From the optimized network in float32 to the one that is exported, once its values fit into the precision."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srblocks.color import OnLuma, OnYCbCr, on_rgb
from srblocks.evaluate import image_files, read_image
from srblocks.inference import UpscaleError
from srblocks.network import Network
from srblocks.precision import PRECISIONS, Calibration, calibrate, to_precision

from .config import ExportConfig
from .errors import ExportError
from .formats import FORMATS
from .shapes import Shapes
from .verification.process import verification_inputs

# Larger images are cut to their middle, so that each costs seconds.
_SIDE = 128


def convert(net: Network, shapes: Shapes, request: ExportConfig) -> tuple[Network, dict[str, Any], list[str]]:
    """Give the network in the precision that is asked for, what the manifest should say of it, and warnings.

    Raises:
        ExportError: E200, modules to keep in float32 that are not there or cannot be kept; E601, values exceed the
            precision's range; E903, images to calibrate with that cannot be read.
    """
    if request.precision == "fp32":
        return net, {}, []
    try:
        converted = to_precision(net, request.precision, fp32_modules=request.fp32_modules)
    except ValueError as error:
        cause, _, remedy = str(error).replace("fp32_modules", "--fp32-modules").partition("; ")
        raise ExportError(200, cause, remedy) from error
    if request.calibrate:
        images = _images(net, request.calibrate)
    else:
        images = verification_inputs(shapes, seed=request.seed, sizes=request.verify)
    found = calibrate(net, images)
    if overflow := found.overflow(request.precision, request.fp32_modules):
        raise ExportError(601, overflow, _remedy(found, request))
    warnings = found.check(request.precision, request.fp32_modules)
    entry = {
        "compute": str(PRECISIONS[request.precision]).removeprefix("torch."),
        "fp32_modules": list(request.fp32_modules),
        "max_abs_activation": float(f"{found.largest:.3g}"),  # further digits differ from machine to machine
    }
    return converted, entry, [f"warning: {warning}" for warning in warnings]


def _remedy(found: Calibration, request: ExportConfig) -> str:
    """Return the flags with which the export would succeed."""
    kept = found.float32_modules(request.precision, request.fp32_modules)
    flags = " ".join(f"--fp32-modules '{pattern}'" for pattern in kept)
    able = all("bf16" in FORMATS[name].precisions for name in request.formats)
    other = f"--precision {'bf16' if able and request.precision == 'fp16' else 'fp32'}"
    return f"use {flags} or {other}" if flags else f"use {other}"


def _images(net: Network, folder: Path) -> Iterator[Tensor]:
    """Give the images of a folder as the network takes them.

    Raises:
        ExportError: E206, the network's channels are no colors; E401, Pillow is missing; E903, no image, an unreadable
            or a small one.
    """
    try:
        whole = on_rgb(net)
    except ValueError as error:
        raise ExportError(206, f"--calibrate: {str(error).partition('; ')[0]}", "leave it out") from error
    try:
        for file in image_files(folder):
            try:
                image = _middle(net, read_image(file), file)
            except ValueError as error:
                raise ExportError(903, f"--calibrate: {file}: {error}", "give images of 8 bits") from error
            yield whole.from_rgb(image)[:, : net.image_channels] if isinstance(whole, (OnLuma, OnYCbCr)) else image
    except UpscaleError as error:
        cause, _, remedy = str(error).partition("; ")
        raise ExportError(401 if error.code == 4 else 903, f"--calibrate: {cause}", remedy) from error


def _middle(net: Network, rgb: Any, file: Path) -> Tensor:
    cuts: list[slice] = []
    for side in rgb.shape[:2]:
        taken = min(side, max(_SIDE, net.min_size)) // net.size_multiple * net.size_multiple
        if taken < net.min_size:
            size = f"{rgb.shape[1]}x{rgb.shape[0]}"
            raise ExportError(903, f"--calibrate: {file} is {size}", f"the network takes {net.min_size} and more")
        cuts.append(slice((side - taken) // 2, (side - taken) // 2 + taken))
    pixels = np.ascontiguousarray(rgb[cuts[0], cuts[1]].transpose(2, 0, 1)[None], np.float32)
    return torch.from_numpy(pixels) / 255

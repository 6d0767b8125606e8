"""Conversion of the network to the requested precision, after a check of its value range."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srblocks.color import OnLuma, OnYCbCr, on_rgb
from srblocks.errors import MissingLibraryError, SRBlocksError
from srblocks.network import Network
from srblocks.precision import PRECISIONS, Calibration, calibrate, to_precision

from .config import ExportConfig
from .errors import ExportError, first_line, invalid_option
from .formats import FORMATS
from .manifest import PrecisionInfo
from .shapes import Shapes
from .verification.inputs import verification_inputs

_SIDE = 128
"""Larger calibration images are center-cropped to this size, so that each takes seconds."""


def convert(net: Network, shapes: Shapes, config: ExportConfig) -> tuple[Network, PrecisionInfo, list[str]]:
    """Return the network in the requested precision, its description for the manifest, and warnings.

    Raises:
        ExportError: E200, modules to keep in float32 that do not exist or cannot be kept; E601, values exceed the
            precision's range; E903, unreadable calibration images.
    """
    if config.precision == "fp32":
        return net, PrecisionInfo(), []
    try:
        converted = to_precision(net, config.precision, fp32_modules=config.fp32_modules)
    except ValueError as error:
        raise invalid_option(error) from error
    if config.calibrate:
        images = _images(net, config.calibrate)
    else:
        images = verification_inputs(shapes, seed=config.seed, sizes=config.verify)
    found = calibrate(net, images)
    if overflow := found.overflow(config.precision, config.fp32_modules):
        raise ExportError(601, overflow, _remedy(found, config))
    warnings = found.check(config.precision, config.fp32_modules)
    info = PrecisionInfo(
        compute=str(PRECISIONS[config.precision]).removeprefix("torch."),
        fp32_modules=config.fp32_modules,
        max_abs_activation=float(f"{found.largest:.3g}"),  # further digits differ between machines
    )
    return converted, info, [f"warning: {warning}" for warning in warnings]


def _remedy(found: Calibration, config: ExportConfig) -> str:
    """Return the flags with which the export would succeed."""
    kept = found.float32_modules(config.precision, config.fp32_modules)
    flags = " ".join(f"--fp32-modules '{pattern}'" for pattern in kept)
    able = all("bf16" in FORMATS[name].precisions for name in config.formats)
    other = f"--precision {'bf16' if able and config.precision == 'fp16' else 'fp32'}"
    return f"use {flags} or {other}" if flags else f"use {other}"


def _images(net: Network, folder: Path) -> Iterator[Tensor]:
    """Yield the images of a folder as inputs of the network.

    Raises:
        ExportError: E206, the network does not work on colors; E401, the image library is missing; E903, no image, or
            one that is unreadable or too small.
    """
    from srblocks.evaluate import image_files, read_image

    try:
        on_colors = on_rgb(net)
    except ValueError as error:
        raise ExportError(206, f"--calibrate: {first_line(error)}", "remove it") from error
    try:
        for file in image_files(folder):
            try:
                image = _center(net, read_image(file), file)
            except (ExportError, MissingLibraryError):
                raise
            except SRBlocksError as error:
                raise ExportError(903, f"--calibrate: {file}: {error.cause}", error.remedy) from error
            except ValueError as error:
                raise ExportError(903, f"--calibrate: {file}: {error}", "use 8-bit images") from error
            is_wrapped = isinstance(on_colors, (OnLuma, OnYCbCr))
            yield on_colors.from_rgb(image)[:, : net.image_channels] if is_wrapped else image
    except ExportError:
        raise
    except SRBlocksError as error:
        number = 401 if error.exit_code == 4 else 903
        raise ExportError(number, f"--calibrate: {error.cause}", error.remedy) from error


def _center(net: Network, rgb: Any, file: Path) -> Tensor:
    """Crop an image of uint8 to a legal size; return it as a batch in [0, 1]."""
    crops: list[slice] = []
    for side in rgb.shape[:2]:
        taken = min(side, max(_SIDE, net.min_size)) // net.size_multiple * net.size_multiple
        if taken < net.min_size:
            size = f"{rgb.shape[1]}x{rgb.shape[0]}"
            raise ExportError(903, f"--calibrate: {file} is {size}", f"use images of at least {net.min_size} per side")
        crops.append(slice((side - taken) // 2, (side - taken) // 2 + taken))
    pixels = np.ascontiguousarray(rgb[crops[0], crops[1]].transpose(2, 0, 1)[None], np.float32)
    return torch.from_numpy(pixels) / 255

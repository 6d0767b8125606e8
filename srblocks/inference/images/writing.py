"""Write image files."""

import dataclasses
import io
import os
import struct
import zlib
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin, TiffTags
from PIL import TiffImagePlugin as Tiff

from ..formats import FORMATS
from .image import HEADER, ImageFile, ImageFileError, Pixels, exif_of_size, tiff_directory

_KEPT_BY = {
    "exif": ("PNG", "JPEG", "WEBP", "TIFF"),
    "xmp": ("PNG", "JPEG", "WEBP", "TIFF"),
    "icc_profile": ("PNG", "JPEG", "WEBP", "TIFF"),
    "dpi": ("PNG", "JPEG", "TIFF", "BMP"),
}
_WORDS = {"exif": "EXIF", "xmp": "XMP", "icc_profile": "color profile", "dpi": "resolution (dpi)"}
_MAX_SIDE = {"JPEG": 65500, "WEBP": 16383}
_JPEG_SEGMENT = 65000
"""EXIF and XMP are one segment each of a JPEG file, of less than 64 KiB."""
_DEEP_TO_BYTE = ((np.arange(65536) + 128) // 257).astype(np.uint8)


def check_size(format: str, height: int, width: int) -> None:
    """Raise if a format cannot hold an image of this size.

    Raises:
        ImageFileError: a side is too long.

    Examples:
        >>> check_size("JPEG", 3000, 4000)
    """
    longest = _MAX_SIDE.get(format)
    if longest and max(height, width) > longest:
        cause = f"{format} supports sides of up to {longest} pixels, got {width}x{height}"
        raise ImageFileError(cause, "write PNG or TIFF")


def write_image(
    image: ImageFile,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,
    quality: int | None = None,
) -> tuple[str, ...]:
    """Write an image file.

    Args:
        image: the image.
        target: path, or a stream.
        format: Pillow's name of the format; None for that of the path's suffix, or that of the image.
        quality: 1 to 100, for JPEG and WebP; None for 95, or for lossless WebP if the image was lossless. JPEG is
            written with 4:4:4 chroma.

    Returns:
        Warnings about what the format cannot hold.

    Raises:
        ImageFileError: the format cannot hold the image.
        OSError: the file cannot be written.
    """
    if isinstance(target, (str, os.PathLike)):
        path = Path(target)
        with path.open("wb") as stream:
            return write_image(image, stream, format=format or FORMATS.get(path.suffix.lower()), quality=quality)
    name = format or image.format
    if name not in FORMATS.values():
        raise ImageFileError(f"cannot write {name} files", f"use {', '.join(dict.fromkeys(FORMATS.values()))}")
    height, width = image.pixels.shape[:2]
    check_size(name, height, width)
    if image.exif:
        image = dataclasses.replace(image, exif=exif_of_size(image.exif, height, width))
    image, warnings = _fitted(image, name)
    samples = image.pixels if image.alpha is None else np.concatenate((image.pixels, image.alpha), 2)
    if name == "TIFF":
        warnings += _write_tiff(image, samples, target)
    elif samples.dtype == np.uint16 and samples.shape[2] > 1:
        _write_deep_png(image, samples, target)
    else:
        _write_by_pillow(image, samples, target, name, quality)
    return tuple(warnings)


def _fitted(image: ImageFile, name: str) -> tuple[ImageFile, list[str]]:
    """Drop what a format cannot hold; return warnings about it."""
    warnings: list[str] = []
    if image.pixels.dtype == np.uint16 and name not in ("PNG", "TIFF"):
        alpha = None if image.alpha is None else _DEEP_TO_BYTE[image.alpha]
        image = dataclasses.replace(image, pixels=_DEEP_TO_BYTE[image.pixels], alpha=alpha)
        warnings.append(f"16 bits rounded to 8 for {name}")
    if image.alpha is not None and name in ("JPEG", "BMP"):
        opaque = _image(image.pixels)
        canvas = Image.new(opaque.mode, opaque.size, "white")
        canvas.paste(opaque, mask=_image(image.alpha))
        image = dataclasses.replace(image, pixels=np.asarray(canvas).reshape(image.pixels.shape), alpha=None)
        warnings.append(f"transparency replaced by white: not supported by {name}")
    left_out = {field for field, formats in _KEPT_BY.items() if getattr(image, field) and name not in formats}
    height, width, channels = image.pixels.shape
    is_deep = (
        image.alpha is not None and image.alpha.dtype == np.uint16
    )  # Pillow cannot read gray TIFF files with 16-bit alpha
    if channels == 1 and (name == "WEBP" or (name == "TIFF" and is_deep)):
        image = dataclasses.replace(image, pixels=np.broadcast_to(image.pixels, (height, width, 3)))
        warnings += ["gray converted to RGB"] * (name == "TIFF")
        left_out |= {"icc_profile"} if (image.icc_profile or b"")[16:20] == b"GRAY" else set()
    warnings += [f"dropped {_WORDS[field]}: not supported by {name}" for field in sorted(left_out)]
    large = {field for field in ("exif", "xmp") if len(getattr(image, field) or b"") > _JPEG_SEGMENT and name == "JPEG"}
    warnings += [f"dropped {_WORDS[field]}: too large for JPEG" for field in sorted(large)]
    return dataclasses.replace(image, **dict.fromkeys(left_out | large)), warnings


def _image(samples: Pixels) -> Image.Image:
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _write_by_pillow(image: ImageFile, samples: Pixels, target: BinaryIO, name: str, quality: int | None) -> None:
    known: dict[str, Any] = {"icc_profile": image.icc_profile, "dpi": image.dpi, "xmp": image.xmp}
    known["exif"] = HEADER + image.exif if image.exif else None
    options: dict[str, Any] = {field: value for field, value in known.items() if value}
    if name == "PNG" and image.xmp:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + image.xmp)
    elif name == "JPEG":
        options |= {"quality": quality or 95, "subsampling": 0}
    elif name == "WEBP" and quality is None and not image.lossy:
        options |= {"lossless": True, "exact": True}
    elif name == "WEBP":
        options["quality"] = quality or 95
    encoded = io.BytesIO()  # Pillow reports a full disk without its name
    try:
        _image(samples).save(encoded, name, **options)
    except (ValueError, OSError, struct.error) as error:
        raise ImageFileError(f"{name} cannot hold the image ({error})", "write PNG or TIFF") from error
    target.write(encoded.getbuffer())


def _blocks(samples: Pixels) -> Iterator[Pixels]:
    """Return blocks of rows of about 1 MiB."""
    rows = max(1, 2**20 * len(samples) // samples.nbytes)
    return (samples[top : top + rows] for top in range(0, len(samples), rows))


def _write_deep_png(image: ImageFile, samples: Pixels, target: BinaryIO) -> None:
    """Write 16-bit color, which Pillow cannot encode, with the up filter: each row minus the one above."""
    height, width, channels = samples.shape

    def chunk(kind: bytes, *content: bytes) -> None:
        PngImagePlugin.putchunk(target, kind, *content)

    target.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0))
    if image.icc_profile:
        chunk(b"iCCP", b"ICC Profile\0\0", zlib.compress(image.icc_profile))
    if image.dpi:
        chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in image.dpi), 1))
    if image.exif:
        chunk(b"eXIf", image.exif)
    if image.xmp:
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0", image.xmp)
    compressor = zlib.compressobj()
    above = np.zeros((1, 2 * width * channels), np.uint8)
    for block in _blocks(samples):
        rows = block.astype(">u2").reshape(len(block), -1).view(np.uint8)
        differences = np.diff(rows, axis=0, prepend=above)
        above = rows[-1:]
        chunk(b"IDAT", compressor.compress(np.insert(differences, 0, 2, axis=1).tobytes()))
    chunk(b"IDAT", compressor.flush())
    chunk(b"IEND")


def _write_tiff(image: ImageFile, samples: Pixels, target: BinaryIO) -> list[str]:
    """Write any image, with Deflate and horizontal differencing: Pillow cannot write 16-bit color, tifffile no EXIF."""
    strips = [_strip(block) for block in _blocks(samples)]
    sizes = [len(strip) for strip in strips]
    if sum(sizes) > 2**32 - 2**24:
        raise ImageFileError("TIFF cannot hold more than 4 GiB", "write PNG")
    height, width, channels = samples.shape
    tags: dict[int, Any] = {
        Tiff.IMAGEWIDTH: width,
        Tiff.IMAGELENGTH: height,
        Tiff.BITSPERSAMPLE: (8 * samples.itemsize,) * channels,
        Tiff.COMPRESSION: 8,
        Tiff.PREDICTOR: 2,
        Tiff.PHOTOMETRIC_INTERPRETATION: 2 if channels > 2 else 1,
        Tiff.SAMPLESPERPIXEL: channels,
        Tiff.EXTRASAMPLES: None if image.alpha is None else 2,
        Tiff.PLANAR_CONFIGURATION: 1,
        Tiff.ROWSPERSTRIP: len(next(_blocks(samples))),
        Tiff.STRIPOFFSETS: tuple(accumulate(sizes[:-1], initial=0)),
        Tiff.STRIPBYTECOUNTS: tuple(sizes),
        Tiff.ICCPROFILE: image.icc_profile,
        Tiff.XMP: image.xmp,
    }
    if image.dpi:
        tags |= {Tiff.RESOLUTION_UNIT: 2, Tiff.X_RESOLUTION: image.dpi[0], Tiff.Y_RESOLUTION: image.dpi[1]}
    warnings: list[str] = []
    try:
        directory = tiff_directory(image.exif)
    except Exception:  # EXIF values of wrong types raise various exceptions
        directory = tiff_directory(None)
        warnings.append("dropped EXIF: damaged")
    for tag, value in tags.items():
        if value is not None:
            directory[tag] = value
    directory.tagtype |= {Tiff.STRIPOFFSETS: TiffTags.LONG, Tiff.STRIPBYTECOUNTS: TiffTags.LONG}
    target.write(b"II*\0\x08\0\0\0" + directory.tobytes(8))
    for strip in strips:
        target.write(strip)
    return warnings


def _strip(rows: Pixels) -> bytes:
    differences = np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1]))
    return zlib.compress(differences.astype(rows.dtype.newbyteorder("<"), copy=False).tobytes())

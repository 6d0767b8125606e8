"""Writing pictures."""

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
from .image import ImageData, ImageFileError, Pixels, check_size
from .metadata import HEADER, exif_of_size, tiff_directory

_KEPT_BY = {
    "exif": ("PNG", "JPEG", "WEBP", "TIFF"),
    "xmp": ("PNG", "JPEG", "WEBP", "TIFF"),
    "icc_profile": ("PNG", "JPEG", "WEBP", "TIFF"),
    "dpi": ("PNG", "JPEG", "TIFF", "BMP"),
}
_WORDS = {"exif": "EXIF", "xmp": "XMP", "icc_profile": "color profile", "dpi": "resolution (dpi)"}
_JPEG_SEGMENT = 65000
"""EXIF and XMP have one segment each in a JPEG file, of less than 64 KiB."""
_DEEP_TO_BYTE = ((np.arange(65536) + 128) // 257).astype(np.uint8)


def write_image(
    picture: ImageData,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,
    quality: int | None = None,
) -> tuple[str, ...]:
    """Write a picture.

    Args:
        picture: what to write.
        target: path, or a stream.
        format: Pillow's name of the format; None for that of the path's suffix, or the picture's own.
        quality: 1 to 100, of JPEG and WebP; None for 95, and for WebP without losses where the picture had none. JPEG
            keeps the full resolution of color (4:4:4).

    Returns:
        What the format cannot hold, in words.

    Raises:
        ImageFileError: the format cannot hold the picture.
        OSError: the file cannot be written.
    """
    if isinstance(target, (str, os.PathLike)):
        path = Path(target)
        with path.open("wb") as stream:
            return write_image(picture, stream, format=format or FORMATS.get(path.suffix.lower()), quality=quality)
    name = format or picture.format
    if name not in FORMATS.values():
        raise ImageFileError(f"{name} files are not written; use {', '.join(dict.fromkeys(FORMATS.values()))}")
    height, width = picture.pixels.shape[:2]
    check_size(name, height, width)
    if picture.exif:
        picture = dataclasses.replace(picture, exif=exif_of_size(picture.exif, height, width))
    picture, remarks = _fitted(picture, name)
    samples = picture.pixels if picture.alpha is None else np.concatenate((picture.pixels, picture.alpha), 2)
    if name == "TIFF":
        remarks += _write_tiff(picture, samples, target)
    elif samples.dtype == np.uint16 and samples.shape[2] > 1:
        _write_deep_png(picture, samples, target)
    else:
        _write_by_pillow(picture, samples, target, name, quality)
    return tuple(remarks)


def _fitted(picture: ImageData, name: str) -> tuple[ImageData, list[str]]:
    """Leave out what a format cannot hold, and say what that was."""
    remarks: list[str] = []
    if picture.pixels.dtype == np.uint16 and name not in ("PNG", "TIFF"):
        alpha = None if picture.alpha is None else _DEEP_TO_BYTE[picture.alpha]
        picture = dataclasses.replace(picture, pixels=_DEEP_TO_BYTE[picture.pixels], alpha=alpha)
        remarks.append(f"16 bits rounded to the 8 of {name}")
    if picture.alpha is not None and name in ("JPEG", "BMP"):
        image = _image(picture.pixels)
        canvas = Image.new(image.mode, image.size, "white")
        canvas.paste(image, mask=_image(picture.alpha))
        picture = dataclasses.replace(picture, pixels=np.asarray(canvas).reshape(picture.pixels.shape), alpha=None)
        remarks.append(f"transparency laid on white: {name} has none")
    left_out = {field for field, formats in _KEPT_BY.items() if getattr(picture, field) and name not in formats}
    height, width, channels = picture.pixels.shape
    is_deep = picture.alpha is not None and picture.alpha.dtype == np.uint16  # a kind of TIFF that Pillow cannot read
    if channels == 1 and (name == "WEBP" or (name == "TIFF" and is_deep)):
        picture = dataclasses.replace(picture, pixels=np.broadcast_to(picture.pixels, (height, width, 3)))
        remarks += ["gray became RGB"] * (name == "TIFF")
        left_out |= {"icc_profile"} if (picture.icc_profile or b"")[16:20] == b"GRAY" else set()
    if name == "JPEG":
        left_out |= {field for field in ("exif", "xmp") if len(getattr(picture, field) or b"") > _JPEG_SEGMENT}
    remarks += [f"{_WORDS[field]} left out: {name} cannot hold it" for field in sorted(left_out)]
    return dataclasses.replace(picture, **dict.fromkeys(left_out)), remarks


def _image(samples: Pixels) -> Image.Image:
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _write_by_pillow(picture: ImageData, samples: Pixels, target: BinaryIO, name: str, quality: int | None) -> None:
    known: dict[str, Any] = {"icc_profile": picture.icc_profile, "dpi": picture.dpi, "xmp": picture.xmp}
    known["exif"] = HEADER + picture.exif if picture.exif else None
    options: dict[str, Any] = {field: value for field, value in known.items() if value}
    if name == "PNG" and picture.xmp:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + picture.xmp)
    elif name == "JPEG":
        options |= {"quality": quality or 95, "subsampling": 0}
    elif name == "WEBP" and quality is None and not picture.lossy:
        options |= {"lossless": True, "exact": True}
    elif name == "WEBP":
        options["quality"] = quality or 95
    encoded = io.BytesIO()  # a full disk has a name in Python's writing, only a number in Pillow's
    try:
        _image(samples).save(encoded, name, **options)
    except (ValueError, OSError, struct.error) as error:
        raise ImageFileError(f"{name} cannot hold the picture ({error}); write PNG or TIFF") from error
    target.write(encoded.getbuffer())


def _blocks(samples: Pixels) -> Iterator[Pixels]:
    """Give blocks of rows of about 1 MiB."""
    rows = max(1, 2**20 * len(samples) // samples.nbytes)
    return (samples[top : top + rows] for top in range(0, len(samples), rows))


def _write_deep_png(picture: ImageData, samples: Pixels, target: BinaryIO) -> None:
    """Write several channels of 16 bits, for which Pillow has no encoder; each row as its difference to that above."""
    height, width, channels = samples.shape

    def chunk(kind: bytes, *content: bytes) -> None:
        PngImagePlugin.putchunk(target, kind, *content)

    target.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0))
    if picture.icc_profile:
        chunk(b"iCCP", b"ICC Profile\0\0", zlib.compress(picture.icc_profile))
    if picture.dpi:
        chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in picture.dpi), 1))
    if picture.exif:
        chunk(b"eXIf", picture.exif)
    if picture.xmp:
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0", picture.xmp)
    compressor = zlib.compressobj()
    above = np.zeros((1, 2 * width * channels), np.uint8)
    for block in _blocks(samples):
        rows = block.astype(">u2").reshape(len(block), -1).view(np.uint8)
        differences = np.diff(rows, axis=0, prepend=above)
        above = rows[-1:]
        chunk(b"IDAT", compressor.compress(np.insert(differences, 0, 2, axis=1).tobytes()))
    chunk(b"IDAT", compressor.flush())
    chunk(b"IEND")


def _write_tiff(picture: ImageData, samples: Pixels, target: BinaryIO) -> list[str]:
    """Write any picture: Pillow has no encoder for 16-bit color, tifffile none for EXIF. Deflate, with differences."""
    strips = [_strip(block) for block in _blocks(samples)]
    sizes = [len(strip) for strip in strips]
    if sum(sizes) > 2**32 - 2**24:
        raise ImageFileError("TIFF cannot hold the picture (more than 4 GiB); write PNG")
    height, width, channels = samples.shape
    tags: dict[int, Any] = {
        Tiff.IMAGEWIDTH: width,
        Tiff.IMAGELENGTH: height,
        Tiff.BITSPERSAMPLE: (8 * samples.itemsize,) * channels,
        Tiff.COMPRESSION: 8,
        Tiff.PREDICTOR: 2,
        Tiff.PHOTOMETRIC_INTERPRETATION: 2 if channels > 2 else 1,
        Tiff.SAMPLESPERPIXEL: channels,
        Tiff.EXTRASAMPLES: None if picture.alpha is None else 2,
        Tiff.PLANAR_CONFIGURATION: 1,
        Tiff.ROWSPERSTRIP: len(next(_blocks(samples))),
        Tiff.STRIPOFFSETS: tuple(accumulate(sizes[:-1], initial=0)),
        Tiff.STRIPBYTECOUNTS: tuple(sizes),
        Tiff.ICCPROFILE: picture.icc_profile,
        Tiff.XMP: picture.xmp,
    }
    if picture.dpi:
        tags |= {Tiff.RESOLUTION_UNIT: 2, Tiff.X_RESOLUTION: picture.dpi[0], Tiff.Y_RESOLUTION: picture.dpi[1]}
    remarks: list[str] = []
    try:
        directory = tiff_directory(picture.exif)
    except Exception:  # EXIF values of the wrong type, each kind with its own exception
        directory = tiff_directory(None)
        remarks.append("EXIF left out: it is damaged")
    for tag, value in tags.items():
        if value is not None:
            directory[tag] = value
    directory.tagtype |= {Tiff.STRIPOFFSETS: TiffTags.LONG, Tiff.STRIPBYTECOUNTS: TiffTags.LONG}
    target.write(b"II*\0\x08\0\0\0" + directory.tobytes(8))
    for strip in strips:
        target.write(strip)
    return remarks


def _strip(rows: Pixels) -> bytes:
    differences = np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1]))
    return zlib.compress(differences.astype(rows.dtype.newbyteorder("<"), copy=False).tobytes())

"""Read image files."""

import io
import os
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin, UnidentifiedImageError

from ..formats import FORMATS
from .image import ImageFile, ImageFileError, Pixels, exif_of, resolution

_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")

_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_LARGEST_TILE = 2**24
"""Pixel limit of the tiles of small TIFF files; decoders allocate a full tile."""


def read_image(source: str | os.PathLike[str] | BinaryIO) -> ImageFile:
    """Read a PNG, JPEG, WebP, TIFF or BMP file, of 8 or 16 bits.

    Palette images become RGB, 1-bit images 8-bit gray, CMYK images sRGB. Only the first page or frame is read. What an
    `ImageFile` cannot hold is named in its `warnings`.

    Args:
        source: path, or a seekable stream, which is read from its start.

    Raises:
        ImageFileError: damaged file, unsupported format or pixel type, or more than ``PIL.Image.MAX_IMAGE_PIXELS``.
        OSError: the file cannot be opened.
    """
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as stream:
            return read_image(stream)
    try:
        with warnings.catch_warnings():  # about damaged metadata and large images
            warnings.simplefilter("ignore")
            return _read(source)
    except (ImageFileError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ImageFileError("not a supported PNG, JPEG, WebP, TIFF or BMP image") from error
    except Image.DecompressionBombError as error:
        raise ImageFileError(f"cannot read the image: {error}") from error
    except Exception as error:  # every decoder raises its own types
        raise ImageFileError(f"damaged or truncated image ({error})") from error


def image_size(path: Path) -> tuple[int, int] | None:
    """Return height and width from the header of a file; None if it is not a readable image."""
    try:
        with warnings.catch_warnings(), Image.open(path, formats=[*FORMATS.values()]) as image:
            warnings.simplefilter("ignore")
            return image.height, image.width
    except Exception:  # every decoder raises its own types
        return None


def _read(stream: BinaryIO) -> ImageFile:
    with Image.open(stream, formats=[*FORMATS.values()]) as image:
        frames = int(getattr(image, "n_frames", 1))
        info = cast("dict[str, Any]", image.info)
        raw_mode = _raw_mode(image)
        _refuse_unknown(image, raw_mode)
        image.load()
        found = _warnings(image, raw_mode, frames)
        samples = _samples(image, raw_mode, stream)
        pixels, alpha = _split(samples, info.get("transparency") if samples.dtype == np.uint16 else None)
        xmp = info.get("xmp") if frames == 1 else None  # of several frames it describes how they belong together
        return ImageFile(
            pixels=pixels,
            alpha=alpha,
            format="JPEG" if image.format == "MPO" else str(image.format),
            lossy=image.format in ("JPEG", "MPO") or (image.format == "WEBP" and not _is_lossless(stream)),
            exif=exif_of(image),
            xmp=xmp.encode() if isinstance(xmp, str) else xmp,
            icc_profile=None if image.mode == "CMYK" else info.get("icc_profile") or None,
            dpi=resolution(info.get("dpi")),
            warnings=tuple(found),
        )


def _raw_mode(image: Image.Image) -> str:
    """Return the pixel type of the file, which Pillow may convert to 8 bits."""
    tiles = cast("list[Any]", getattr(image, "tile", []))
    arguments = tiles[0].args if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _tag(image: Image.Image, number: int) -> Any:
    """Return a tag of a TIFF file; None for other formats."""
    return getattr(image, "tag_v2", {}).get(number)


def _refuse_unknown(image: Image.Image, raw_mode: str) -> None:
    gray16 = image.mode.startswith("I;16") and raw_mode.startswith("I;16")
    if not gray16 and image.mode not in _MODES:
        kind = raw_mode or image.mode
        raise ImageFileError(f"unsupported pixel type {kind}", "convert the image to 8- or 16-bit gray or RGB")
    tile = [_tag(image, number) or 0 for number in (_TILE_WIDTH, _TILE_HEIGHT)]
    if tile[0] * tile[1] > max(_LARGEST_TILE, 4 * image.width * image.height):
        raise ImageFileError(f"tiles of {tile[0]}x{tile[1]} pixels in an image of {image.width}x{image.height}")
    if 2 in (_tag(image, TiffImagePlugin.SAMPLEFORMAT) or ()):
        raise ImageFileError("signed pixels are not supported", "convert the image to unsigned 8 or 16 bits")
    in_planes = _tag(image, TiffImagePlugin.PLANAR_CONFIGURATION) == 2
    if in_planes and not gray16 and max(_tag(image, TiffImagePlugin.BITSPERSAMPLE) or (1,)) > 8:
        raise ImageFileError("planar 16-bit channels are not supported", "save the TIFF with interleaved channels")


def _warnings(image: Image.Image, raw_mode: str, frames: int) -> list[str]:
    """Return what is not kept."""
    info = cast("dict[str, Any]", image.info)
    found = [f"only the first of {frames} images was read"] * (frames > 1)
    if image.mode == "CMYK":
        found.append("CMYK converted to " + "8-bit " * (";16" in raw_mode) + "sRGB")
    texts = {"comment", *getattr(image, "text", ())} & {*info} - {"XML:com.adobe.xmp", "Raw profile type exif"}
    found += [f"dropped text: {', '.join(sorted(texts))}"] * bool(texts)
    if abs(info.get("gamma", 0.45455) - 0.45455) > 0.001 and not {"icc_profile", "srgb"} & {*info}:
        found.append(f"dropped gamma: {info['gamma']}")
    return found


def _samples(image: Image.Image, raw_mode: str, stream: BinaryIO) -> Pixels:
    """Return (H, W, C): gray, gray with alpha, RGB or RGB with alpha."""
    if image.mode.startswith("I;16"):
        gray = np.asarray(image).astype(np.uint16)[..., None]
        white_is_zero = _tag(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
        return ~gray if white_is_zero else gray
    if ";16" in raw_mode and image.mode in ("RGB", "RGBA"):
        return _decode_deep(stream, raw_mode)
    pixels = np.asarray(_from_cmyk(image) if image.mode == "CMYK" else _plain(image, raw_mode))
    return pixels.reshape(*pixels.shape[:2], -1)


def _decode_deep(stream: BinaryIO, raw_mode: str) -> Pixels:
    """Decode 16-bit channels: Pillow returns the high bytes, and with swapped byte order the low bytes."""
    if raw_mode == "LA;16B":  # as wide as RGBA: all four bytes at once
        return _decode(stream, "RGBA").view(">u2").astype(np.uint16)
    is_big = raw_mode.endswith("B") or (raw_mode.endswith("N") and sys.byteorder == "big")
    channels = raw_mode[: raw_mode.index(";")]
    kind = "RGBA" if channels == "RGBa" else channels
    high, low = (_decode(stream, f"{kind};16{order}") for order in ("BL" if is_big else "LB"))
    pixels = high.astype(np.uint16)
    pixels <<= 8
    pixels |= low
    return _unassociated(pixels) if channels == "RGBa" else pixels


def _decode(stream: BinaryIO, raw_mode: str) -> NDArray[np.uint8]:
    stream.seek(0)
    with Image.open(stream, formats=[*FORMATS.values()]) as image:
        tiles = cast("list[Any]", image.tile)
        arguments = [(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode for tile in tiles]
        image.tile = [tile._replace(args=each) for tile, each in zip(tiles, arguments, strict=True)]
        return np.asarray(image)


def _unassociated(pixels: Pixels) -> Pixels:
    """Convert premultiplied colors to straight ones."""
    color, alpha = pixels[..., :3].astype(np.uint32), pixels[..., 3:]
    opacity = np.maximum(alpha.astype(np.uint32), 1)
    color = np.minimum((color * 65535 + opacity // 2) // opacity, 65535).astype(np.uint16)
    return np.concatenate((color, alpha), 2)


def _from_cmyk(image: Image.Image) -> Image.Image:
    """Convert to sRGB, with the color profile if there is one."""
    if icc_profile := image.info.get("icc_profile"):
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
            found = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return found or image.convert("RGB")
        except (ImageCms.PyCMSError, OSError):  # a damaged profile
            pass
    return image.convert("RGB")


def _plain(image: Image.Image, raw_mode: str) -> Image.Image:
    """Convert to 8-bit gray or RGB, with alpha if there is transparency."""
    if raw_mode in ("L;2", "L;4") and "transparency" in image.info:  # in units of the file
        image.info["transparency"] *= 85 if raw_mode == "L;2" else 17
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    return image.convert(mode + "A" * image.has_transparency_data)


def _split(pixels: Pixels, transparent: Any) -> tuple[Pixels, Pixels | None]:
    """Split off alpha, or make it from the transparent color."""
    if pixels.shape[2] in (2, 4):
        return pixels[..., :-1], pixels[..., -1:]
    if transparent is None:
        return pixels, None
    opaque = (pixels != np.asarray(transparent)).any(2, keepdims=True)
    return pixels, opaque.astype(pixels.dtype) * np.iinfo(pixels.dtype).max


def _is_lossless(stream: BinaryIO) -> bool:
    """Return whether a WebP file is lossless."""
    stream.seek(12)
    while len(header := stream.read(8)) == 8:
        if header[:4] in (b"VP8 ", b"VP8L", b"ANMF"):
            return header[:4] == b"VP8L"
        size = int.from_bytes(header[4:], "little")
        stream.seek(size + size % 2, os.SEEK_CUR)
    return False

"""Test images and image files."""

import io
import struct

import cv2
import numpy as np
from PIL import ImageCms

from srblocks.inference.images import ImageFile, write_image

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf>five stars \xc3\xa9</rdf></x:xmpmeta>"
SAMPLES = np.random.default_rng(0)


def noise(height: int, width: int, channels: int, dtype: type = np.uint8) -> np.ndarray:
    return SAMPLES.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def swapped(samples: np.ndarray) -> np.ndarray:
    """Return an image with its channels in OpenCV's order, or back."""
    return samples if samples.shape[2] == 1 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]


def seen_by_opencv(content: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return swapped(found.reshape(*found.shape[:2], -1))


def written(image: ImageFile, form: str, quality: int | None = None) -> bytes:
    stream = io.BytesIO()
    write_image(image, stream, format=form, quality=quality)
    return stream.getvalue()


def samples_of(image: ImageFile) -> np.ndarray:
    return image.pixels if image.alpha is None else np.concatenate((image.pixels, image.alpha), 2)


def image_of(samples: np.ndarray, **facts: object) -> ImageFile:
    if samples.shape[2] % 2:
        return ImageFile(samples, **facts)
    return ImageFile(samples[..., :-1], samples[..., -1:], **facts)


def exif_block(order: str = "<", *, side_kind: str = "H", thumbnail: bytes = b"\xff\xd8thumbnail\xff\xd9") -> bytes:
    """Return the EXIF block of a camera: orientation 6, maker note, size 30 x 20, interoperability IFD, thumbnail."""
    name, note = b"Camera\0\0", b"maker's note, in a format of its own"
    ifd0, camera = 8, 8 + 2 + 3 * 12 + 4
    notes = camera + 2 + 4 * 12 + 4
    rules = notes + len(name) + len(note)
    ifd1 = rules + 2 + 12 + 4
    kind = {"H": 3, "I": 4}[side_kind]

    def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
        return struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")

    def number(value: int, form: str = "I") -> bytes:
        return struct.pack(order + form, value)

    block = (b"II*\0" if order == "<" else b"MM\0*") + number(ifd0)
    block += number(3, "H") + entry(0x010F, 2, 7, number(notes)) + entry(0x0112, 3, 1, number(6, "H"))
    block += entry(0x8769, 4, 1, number(camera)) + number(ifd1)
    block += number(4, "H") + entry(0x927C, 7, len(note), number(notes + len(name)))
    block += entry(0xA002, kind, 1, number(30, side_kind)) + entry(0xA003, kind, 1, number(20, side_kind))
    block += entry(0xA005, 4, 1, number(rules)) + number(0) + name + note
    block += number(1, "H") + entry(1, 2, 4, b"R98\0") + number(0)
    block += number(2, "H") + entry(0x0201, 4, 1, number(ifd1 + 30)) + entry(0x0202, 4, 1, number(len(thumbnail)))
    return block + number(0) + thumbnail


def stream_at_start(stream: io.BytesIO) -> io.BytesIO:
    stream.seek(0)
    return stream


def waves(height: int, width: int, channels: int = 3, white: int = 255) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(y / (3 + channel) + x / 5) for channel in range(channels)]
    return ((0.5 + 0.45 * np.dstack(planes)) * white).astype(np.uint8 if white == 255 else np.uint16)

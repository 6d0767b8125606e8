"""Test images and image files."""

import io
import struct

import numpy as np
from PIL import ImageCms

from srblocks.inference.images import ImageFile, write_image

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf>five stars \xc3\xa9</rdf></x:xmpmeta>"
MAKER_NOTE = b"maker note in a private format"
RNG = np.random.default_rng(0)


def noise(height: int, width: int, channels: int, dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def swap_red_and_blue(samples: np.ndarray) -> np.ndarray:
    """Convert between the channel orders of Pillow and OpenCV."""
    return samples if samples.shape[2] == 1 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]


def decode_with_opencv(content: bytes) -> np.ndarray:
    import cv2

    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return swap_red_and_blue(found.reshape(*found.shape[:2], -1))


def encode_with_opencv(samples: np.ndarray, suffix: str) -> io.BytesIO:
    import cv2

    return io.BytesIO(cv2.imencode(suffix, swap_red_and_blue(samples))[1].tobytes())


def encode_tiff(samples: np.ndarray, **options: object) -> io.BytesIO:
    """Encode with tifffile, which takes its `options`."""
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, **options)
    return rewound(stream)


def encode(image: ImageFile, image_format: str, quality: int | None = None) -> bytes:
    stream = io.BytesIO()
    write_image(image, stream, format=image_format, quality=quality)
    return stream.getvalue()


def samples_of(image: ImageFile) -> np.ndarray:
    return image.pixels if image.alpha is None else np.concatenate((image.pixels, image.alpha), 2)


def image_of(samples: np.ndarray, **metadata: object) -> ImageFile:
    """Return an image file; with two or four channels, the last one is alpha."""
    if samples.shape[2] % 2:
        return ImageFile(samples, **metadata)
    return ImageFile(samples[..., :-1], samples[..., -1:], **metadata)


def exif_block(
    byte_order: str = "<", *, side_type: str = "H", thumbnail: bytes = b"\xff\xd8thumbnail\xff\xd9"
) -> bytes:
    """Return the EXIF block of a camera: orientation 6, maker note, size 30x20, interoperability IFD, thumbnail."""
    name, note = b"Camera\0\0", MAKER_NOTE
    ifd0, camera = 8, 8 + 2 + 3 * 12 + 4
    notes = camera + 2 + 4 * 12 + 4
    interoperability = notes + len(name) + len(note)
    ifd1 = interoperability + 2 + 12 + 4
    side_code = {"H": 3, "I": 4}[side_type]

    def entry(tag: int, code: int, count: int, value: bytes) -> bytes:
        return struct.pack(byte_order + "HHI", tag, code, count) + value.ljust(4, b"\0")

    def number(value: int, code: str = "I") -> bytes:
        return struct.pack(byte_order + code, value)

    block = (b"II*\0" if byte_order == "<" else b"MM\0*") + number(ifd0)
    block += number(3, "H") + entry(0x010F, 2, 7, number(notes)) + entry(0x0112, 3, 1, number(6, "H"))
    block += entry(0x8769, 4, 1, number(camera)) + number(ifd1)
    block += number(4, "H") + entry(0x927C, 7, len(note), number(notes + len(name)))
    block += entry(0xA002, side_code, 1, number(30, side_type)) + entry(0xA003, side_code, 1, number(20, side_type))
    block += entry(0xA005, 4, 1, number(interoperability)) + number(0) + name + note
    block += number(1, "H") + entry(1, 2, 4, b"R98\0") + number(0)
    block += number(2, "H") + entry(0x0201, 4, 1, number(ifd1 + 30)) + entry(0x0202, 4, 1, number(len(thumbnail)))
    return block + number(0) + thumbnail


def rewound(stream: io.BytesIO) -> io.BytesIO:
    stream.seek(0)
    return stream


def waves(height: int, width: int, channels: int = 3, white: int = 255) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(y / (3 + channel) + x / 5) for channel in range(channels)]
    return ((0.5 + 0.45 * np.dstack(planes)) * white).astype(np.uint8 if white == 255 else np.uint16)

"""What enlarges pictures, on arrays of height x width x channels."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..tiling import Window, halo_of, least_tile, windows
from .errors import UpscaleError, WrongOutputError

Image = NDArray[Any]


class TilingError(NamedTuple):
    """What tiles change of a part of a picture.

    Attributes:
        height: of the part.
        width: of the part.
        tile: side of the tiles.
        largest: the largest difference, 1 = white.
        psnr: peak signal-to-noise ratio in decibels, infinite where nothing differs.
    """

    height: int
    width: int
    tile: int
    largest: float
    psnr: float


@dataclass(frozen=True)
class Upscaler:
    """Something that enlarges images, and what one must know of it.

    Attributes:
        name: for reports.
        run: images (1, C, H, W), float32 in [0, 1], `scale` times larger.
        scale: enlargement per side.
        color: what the channels are, "y" or "rgb".
        min_size: the smallest H and the smallest W.
        size_multiple: H and W are multiples of it.
        max_size: the largest H and the largest W; None for no limit.
        radius: receptive radius in low-resolution pixels; None = the whole image, whose tiles are an approximation.
        tile: side of the tiles where none is asked for.
    """

    name: str
    run: Callable[[NDArray[np.float32]], Image]
    scale: int
    color: str
    min_size: tuple[int, int] = (1, 1)
    size_multiple: int = 1
    max_size: tuple[int | None, int | None] = (None, None)
    radius: int | None = None
    tile: int = 256

    def __call__(self, low: Image) -> Image:
        """Enlarge one image of height x width x channels in [0, 1] as a whole; the result is clipped to [0, 1].

        What a size lacks is mirrored at the bottom and at the right, and cropped again.

        Raises:
            WrongOutputError: the model gives no picture of the size that it should have.
        """
        height, width = low.shape[:2]
        batch = np.ascontiguousarray(self._padded(low).transpose(2, 0, 1)[None], np.float32)
        high = self._checked(batch)[0].transpose(1, 2, 0)
        return np.clip(high[: height * self.scale, : width * self.scale].astype(np.float64), 0, 1)

    def enlarge(
        self,
        pixels: Image,
        *,
        tile: int | None = None,
        halo: int | None = None,
        progress: Callable[[float], None] = lambda share: None,
    ) -> Image:
        """Enlarge a picture of whole numbers tile by tile; floating-point numbers are there of one tile at a time.

        Sizes are padded as in ``__call__``.

        Args:
            pixels: (H, W, C), uint8 or uint16.
            tile: side of what is seen at once, halo included, in pixels of `pixels`; None for `tile` of the upscaler.
            halo: what a tile sees beyond what is kept of it; None for as much as makes the tiles equal to the whole,
                see `srblocks.tiling.halo_of` where nothing does.
            progress: called with the share of the tiles that are done, after each.

        Returns:
            (scale * H, scale * W, C), of the kind of `pixels`.

        Raises:
            ValueError: the halo leaves nothing of a tile.
            WrongOutputError: the model gives no picture of the size that it should have.
        """
        white = np.iinfo(pixels.dtype).max
        height, width = pixels.shape[:2]
        low = self._padded(pixels)
        shape = (low.shape[0] * self.scale, low.shape[1] * self.scale, low.shape[2])
        high = np.empty(shape, pixels.dtype)
        tiles = list(self._windows(low, tile, halo))
        for number, window in enumerate(tiles, 1):
            seen = np.ascontiguousarray(low[window.source].transpose(2, 0, 1)[None], np.float32) / np.float32(white)
            sr = self._checked(seen)[0].transpose(1, 2, 0)[window.kept(self.scale)]
            high[window.target(self.scale)] = np.rint(np.clip(sr, 0, 1) * white)
            progress(number / len(tiles))
        return high[: height * self.scale, : width * self.scale]

    def is_exact(self, size: tuple[int, int], *, tile: int | None = None, halo: int | None = None) -> bool:
        """Tell whether `enlarge` gives an image of that H and W what the whole image would."""
        in_one = all(length <= side for length, side in zip(self._fitting(size), self._tile(tile), strict=True))
        return in_one or (self.radius is not None and (halo is None or halo >= self.radius))

    def is_padded(self, size: tuple[int, int]) -> bool:
        """Tell whether the network does not take that H and W, so that the image is mirrored beyond its border."""
        return self._fitting(size) != size

    def tiling_error(self, pixels: Image, *, tile: int | None = None, halo: int | None = None) -> TilingError | None:
        """Measure what tiles change: a tile from the middle of a picture, against itself in tiles of half its side.

        None where the picture is too small for that, or the network takes no smaller tiles.
        """
        side = min(self._tile(tile))
        top, left = (max(0, length - side) // 2 for length in pixels.shape[:2])
        part = pixels[top : top + side, left : left + side]
        height, width = part.shape[:2]
        half = side // 2
        if max(self._tile(half)) >= max(height, width):
            return None
        halo = self._halo(halo, half)
        whole, parts = (self.enlarge(part, tile=each, halo=halo).astype(np.float64) for each in (side, half))
        difference = np.abs(whole - parts) / np.iinfo(pixels.dtype).max
        mean = float(np.square(difference).mean())
        psnr = -10 * math.log10(mean) if mean else math.inf
        return TilingError(height, width, half, float(difference.max()), psnr)

    def check_tile(self, tile: int | None) -> None:
        """Refuse tiles of which the halo leaves nothing.

        Args:
            tile: side that is asked for; None for `tile` of the upscaler.

        Raises:
            UpscaleError: code 2, or 8 where the network takes no larger ones.
        """
        sides = self._tile(tile)
        least = least_tile(self._halo(None, min(sides)), self.size_multiple)
        if min(side // self.size_multiple * self.size_multiple for side in sides) >= least:
            return
        if any(most is not None and most < least for most in self.max_size):
            height, width = self.max_size
            raise UpscaleError(
                8, f"{self.name} takes {height}x{width} pixels, too few for tiles of {least}; export it for larger ones"
            )
        raise UpscaleError(2, f"tiles of {tile} pixels leave nothing within their halo; give {least} or more")

    def _checked(self, batch: NDArray[np.float32]) -> Image:
        """Run the model; what comes from outside may give anything."""
        count, channels, height, width = batch.shape
        expected = (count, channels, height * self.scale, width * self.scale)
        high = np.asarray(self.run(batch))
        if high.shape != expected or not np.issubdtype(high.dtype, np.floating):
            found, wanted = (" x ".join(map(str, shape)) for shape in (high.shape, expected))
            raise WrongOutputError(f"{self.name} gives {found or 'one'} of {high.dtype} instead of {wanted} of float32")
        if wrong := int(np.count_nonzero(~np.isfinite(high))):
            raise WrongOutputError(f"{self.name} gives {wrong} values of {high.size} that are NaN or infinite")
        return high

    def _windows(self, low: Image, tile: int | None, halo: int | None) -> Iterator[Window]:
        size = (low.shape[0], low.shape[1])
        sides = self._tile(tile)
        return windows(size, sides, self._halo(halo, min(sides)), size_multiple=self.size_multiple)

    def _halo(self, halo: int | None, tile: int) -> int:
        return halo_of(self.radius, tile) if halo is None else halo

    def _tile(self, tile: int | None) -> tuple[int, int]:
        """Give height and width of tiles that the network takes."""
        height, width = (
            max(least, min(side, most or side))
            for side, least, most in zip((tile or self.tile,) * 2, self.min_size, self.max_size, strict=True)
        )
        return height, width

    def _padded(self, low: Image) -> Image:
        height, width = self._fitting((low.shape[0], low.shape[1]))
        return np.pad(low, [(0, height - low.shape[0]), (0, width - low.shape[1]), (0, 0)], mode="symmetric")

    def _fitting(self, size: tuple[int, int]) -> tuple[int, int]:
        """Give the smallest size that the network takes and the image fits in."""
        height, width = (max(least, side) for side, least in zip(size, self.min_size, strict=True))
        return height + -height % self.size_multiple, width + -width % self.size_multiple

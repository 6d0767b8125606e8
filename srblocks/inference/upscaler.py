"""`Upscaler`: a model of any kind as a function on images, H x W x C."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .._utils.padding import reflected
from .._utils.rounding import round_up
from ..color import on_rgb
from ..metrics import decibels
from ..network import Network
from ..tiling import Window, automatic_tile, halo_of, least_tile, receptive_radius, windows
from .errors import UpscaleError, WrongOutputError

Image = NDArray[Any]


class TilingError(NamedTuple):
    """Difference between upscaling in tiles and at once, on a crop of an image.

    Attributes:
        height: height of the crop.
        width: width of the crop.
        tile: tile size.
        largest: largest difference, 1 = white.
        psnr: PSNR in dB, infinity for equal results.
    """

    height: int
    width: int
    tile: int
    largest: float
    psnr: float


@dataclass(frozen=True)
class Upscaler:
    """A model that upscales images, with its requirements.

    Attributes:
        name: name for reports.
        run: function from images (1, C, H, W), float32 in [0, 1], to images `scale` times larger.
        scale: scale factor.
        color: color space of the images, "y" or "rgb".
        min_size: minimum H and minimum W.
        size_multiple: H and W must be multiples of it.
        max_size: maximum H and maximum W; None for no limit.
        radius: receptive radius in low-resolution pixels; None if it is global, so that tiles are an approximation.
        tile: default tile size.
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
        """Upscale an image (H, W, C) in [0, 1] without tiles; the result is clipped to [0, 1].

        Images of sizes that the model does not accept are reflected at the bottom and right, and the output is cropped.

        Raises:
            WrongOutputError: the model returned an array of the wrong shape or type, or values that are not finite.
        """
        height, width = low.shape[:2]
        batch = np.ascontiguousarray(self._padded(low).transpose(2, 0, 1)[None], np.float32)
        high = self._run_checked(batch)[0].transpose(1, 2, 0)
        return np.clip(high[: height * self.scale, : width * self.scale].astype(np.float64), 0, 1)

    def upscale(
        self,
        pixels: Image,
        *,
        tile: int | None = None,
        halo: int | None = None,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Image:
        """Upscale an integer image tile by tile, with floating-point values of one tile at a time in memory.

        Images are padded as in ``__call__``.

        Args:
            pixels: (H, W, C), uint8 or uint16.
            tile: tile size including the halo, in low-resolution pixels; None for `Upscaler.tile`.
            halo: overlap on each side of a tile; None for the receptive radius, which makes the result equal to that
                without tiles, or for `srblocks.tiling.halo_of` if the radius is global.
            progress: called after each tile with the fraction of finished tiles.

        Returns:
            (scale * H, scale * W, C), with the dtype of `pixels`.

        Raises:
            ValueError: the tile is not larger than its halo.
            WrongOutputError: the model returned an array of the wrong shape or type, or values that are not finite.
        """
        white = np.iinfo(pixels.dtype).max
        height, width = pixels.shape[:2]
        low = self._padded(pixels)
        shape = (low.shape[0] * self.scale, low.shape[1] * self.scale, low.shape[2])
        high = np.empty(shape, pixels.dtype)
        tiles = list(self._windows(low, tile, halo))
        for number, window in enumerate(tiles, 1):
            batch = np.ascontiguousarray(low[window.source].transpose(2, 0, 1)[None], np.float32) / np.float32(white)
            sr = self._run_checked(batch)[0].transpose(1, 2, 0)[window.kept(self.scale)]
            high[window.target(self.scale)] = np.rint(np.clip(sr, 0, 1) * white)
            progress(number / len(tiles))
        return high[: height * self.scale, : width * self.scale]

    def is_exact(self, size: tuple[int, int], *, tile: int | None = None, halo: int | None = None) -> bool:
        """Return whether the tiles of an image of that H and W equal the result without tiles."""
        single = all(length <= side for length, side in zip(self._padded_size(size), self._tile(tile), strict=True))
        return single or (self.radius is not None and (halo is None or halo >= self.radius))

    def is_padded(self, size: tuple[int, int]) -> bool:
        """Return whether an image of that H and W must be padded."""
        return self._padded_size(size) != size

    def tiling_error(self, pixels: Image, *, tile: int | None = None, halo: int | None = None) -> TilingError | None:
        """Measure the error of tiles: upscale the center tile of an image at once and in tiles of half the size.

        Returns:
            The error; None if the image is too small, or the model does not accept smaller tiles.
        """
        side = min(self._tile(tile))
        top, left = (max(0, length - side) // 2 for length in pixels.shape[:2])
        crop = pixels[top : top + side, left : left + side]
        height, width = crop.shape[:2]
        half = side // 2
        if max(self._tile(half)) >= max(height, width):
            return None
        halo = self._halo(halo, half)
        whole, parts = (self.upscale(crop, tile=each, halo=halo).astype(np.float64) for each in (side, half))
        difference = np.abs(whole - parts) / np.iinfo(pixels.dtype).max
        mean_squared_error = float(np.square(difference).mean())
        return TilingError(height, width, half, float(difference.max()), decibels(mean_squared_error))

    def check_tile(self, tile: int | None) -> None:
        """Raise if tiles are not larger than their halo.

        Args:
            tile: requested tile size; None for `Upscaler.tile`.

        Raises:
            UpscaleError: exit code 2, or 8 if the model does not accept larger tiles.
        """
        sides = self._tile(tile)
        least = least_tile(self._halo(None, min(sides)), self.size_multiple)
        if min(side // self.size_multiple * self.size_multiple for side in sides) >= least:
            return
        if any(most is not None and most < least for most in self.max_size):
            height, width = self.max_size
            raise UpscaleError(
                f"{self.name} accepts {height}x{width} pixels, but tiles must be at least {least}x{least}",
                "export it for larger images",
                exit_code=8,
            )
        raise UpscaleError(f"tile must be at least {least} for {self.name}, got {tile}")

    def _run_checked(self, batch: NDArray[np.float32]) -> Image:
        """Run the model and check its output, which may come from third-party code."""
        count, channels, height, width = batch.shape
        expected = (count, channels, height * self.scale, width * self.scale)
        high = np.asarray(self.run(batch))
        if high.shape != expected or not np.issubdtype(high.dtype, np.floating):
            raise WrongOutputError(
                f"{self.name} returned {high.dtype} of shape {high.shape}, expected float32 of shape {expected}"
            )
        if wrong := int(np.count_nonzero(~np.isfinite(high))):
            raise WrongOutputError(f"{self.name} returned NaN or infinity in {wrong} of {high.size} values")
        return high

    def _windows(self, low: Image, tile: int | None, halo: int | None) -> Iterator[Window]:
        size = (low.shape[0], low.shape[1])
        sides = self._tile(tile)
        return windows(size, sides, self._halo(halo, min(sides)), size_multiple=self.size_multiple)

    def _halo(self, halo: int | None, tile: int) -> int:
        return halo_of(self.radius, tile) if halo is None else halo

    def _tile(self, tile: int | None) -> tuple[int, int]:
        """Return the height and width of tiles within the limits of the model."""
        height, width = (
            max(least, min(side, most or side))
            for side, least, most in zip((tile or self.tile,) * 2, self.min_size, self.max_size, strict=True)
        )
        return height, width

    def _padded(self, low: Image) -> Image:
        padded = self._padded_size((low.shape[0], low.shape[1]))
        rows, columns = map(reflected, low.shape[:2], padded)
        return low[rows[:, None], columns]

    def _padded_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the smallest H and W that the model accepts and the image fits into."""
        height, width = (max(least, side) for side, least in zip(size, self.min_size, strict=True))
        return round_up(height, self.size_multiple), round_up(width, self.size_multiple)


def from_network(net: Network, name: str, *, device: str = "cpu") -> Upscaler:
    """Return the upscaler of a network, which is moved to the device in float32 and put into eval mode.

    Networks on luma work on luma; networks on other color spaces are converted to RGB, see `srblocks.on_rgb`.
    """
    net = (net if net.color == "y" else on_rgb(net)).to(device).float().eval()
    radius = receptive_radius(net)
    return Upscaler(
        name,
        runner(net, device),
        net.scale,
        net.color,
        (net.min_size, net.min_size),
        net.size_multiple,
        radius=radius,
        tile=automatic_tile(net, radius),
    )


def runner(net: Network, device: str) -> Callable[[NDArray[np.float32]], Image]:
    """Return the function on arrays of a network."""

    def run(batch: NDArray[np.float32]) -> Image:
        with torch.inference_mode():
            return net(torch.from_numpy(batch).to(device)).cpu().numpy()

    return run

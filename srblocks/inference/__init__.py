"""Upscale images of any size with networks, weights files and exported artifacts, tile by tile.

    from srblocks.inference import open_upscaler

    upscaled = open_upscaler("fsrcnn", scale=2).upscale(pixels)  # (H, W, 3), uint8 or uint16

The command is ``srblocks-upscale``. Names are imported on first use; `__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Evaluate models: PSNR and SSIM as in published results.

The command is ``srblocks-evaluate``. Names are imported on first use; `__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

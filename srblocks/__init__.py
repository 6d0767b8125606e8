"""Super-resolution building blocks and networks for PyTorch, ready to train and to export.

    from srblocks import RCAB, PixelShuffleUp, create_network, load_pretrained

Networks map low-resolution images (N, C, H, W) in [0, 1] to high-resolution ones. Names are imported on first use;
`__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"

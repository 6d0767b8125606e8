"""Super-resolution building blocks and networks for PyTorch, ready to train and to export.

    from srblocks import RCAB, PixelShuffleUp, create_network, load_pretrained

Networks map low-resolution images (N, C, H, W) in [0, 1] to high-resolution ones. Names are imported on first use;
`__init__.pyi` lists them.
"""

import difflib
from typing import Any

import lazy_loader

_import_name, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"

_NAMES_ELSEWHERE = {
    "CALayer": "ChannelAttention",
    "SELayer": "ChannelAttention",
    "SOCA": "SecondOrderChannelAttention",
    "ResBlock": "ResidualBlock",
    "ResidualDenseBlock_5C": "ResidualDenseBlock",
    "RDB_Conv": "RDB",
    "Upsampler": "PixelShuffleUp",
    "default_conv": "conv",
    "create_model": "create_network",
    "list_models": "list_networks",
}
"""Common names in other libraries -> ours."""


def __getattr__(name: str) -> Any:
    try:
        return _import_name(name)
    except AttributeError:
        close = [_NAMES_ELSEWHERE[name]] if name in _NAMES_ELSEWHERE else difflib.get_close_matches(name, __all__)
        hint = f"; did you mean {' or '.join(close)}?" if close and not name.startswith("_") else ""
        raise AttributeError(f"module 'srblocks' has no attribute {name!r}{hint}", name=name) from None

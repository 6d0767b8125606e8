"""Write the outputs of dense-block layers into one buffer instead of concatenating them again and again."""

import torch
from torch import Tensor, nn

from ..blocks import DenseBlock
from .context import RewriteContext
from .matching import is_exactly

NAME = "dense_buffer"


class BufferedDense(DenseBlock):
    """A `DenseBlock` whose layers write into one buffer.

    It falls back to concatenation where a buffer does not help: under tracing and export, whose engines plan memory
    themselves and have no in-place writes; for inputs in channels_last format, where a slice of channels is not
    contiguous; and where gradients are required.

    Args:
        block: the dense block; its layers are used, not copied.

    Shape:
        ``(N, C, H, W) -> (N, out_channels, H, W)``
    """

    def __init__(self, block: DenseBlock) -> None:
        nn.Module.__init__(self)
        self.layers = block.layers
        self.dense_input = block.dense_input
        self.keep_input = block.keep_input
        self.out_channels = block.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Run the layers on the features ``x``."""
        if not torch.jit.is_scripting() and (  # pyright: ignore[reportPrivateImportUsage]
            torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
            or torch.compiler.is_compiling()
        ):
            return self._concatenated(x)
        if not x.is_contiguous() or (torch.is_grad_enabled() and x.requires_grad):
            return self._concatenated(x)
        return self._buffered(x)

    def _buffered(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        offset = channels if self.dense_input or self.keep_input else 0
        grown = self.out_channels - (channels if self.keep_input else 0)
        buffer = x.new_empty([x.shape[0], offset + grown, x.shape[2], x.shape[3]])
        buffer[:, :offset] = x[:, :offset]
        start = 0 if self.dense_input else offset
        end = offset
        for i, layer in enumerate(self.layers):
            y = layer(x if i == 0 else buffer[:, start:end])
            buffer[:, end : end + y.shape[1]] = y
            end += y.shape[1]
        return buffer if self.keep_input else buffer[:, offset:]


def rewrite(context: RewriteContext) -> None:
    """Rewrite every dense block."""
    for path, block in context.modules():
        if is_exactly(block, DenseBlock):
            context.replace_all(block, BufferedDense(block))
            context.applied(NAME, path, "one buffer for all layers")

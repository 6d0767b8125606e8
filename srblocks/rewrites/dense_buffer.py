"""Dense blocks write their layers' outputs into one buffer instead of concatenating them again and again."""

import torch
from torch import Tensor, nn

from ..blocks import DenseBlock
from .context import RewriteContext, is_exactly

NAME = "dense_buffer"


class BufferedDense(DenseBlock):
    """A `DenseBlock` whose layers write into one buffer.

    Where that brings nothing, it concatenates as the block does: under tracing and export, whose engines plan memory
    themselves and know no writes; for inputs in channels_last layout, of which a slice of channels is no contiguous
    map; and where gradients are wanted.

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
        ahead = channels if self.dense_input or self.keep_input else 0
        given = self.out_channels - (channels if self.keep_input else 0)
        buffer = x.new_empty([x.shape[0], ahead + given, x.shape[2], x.shape[3]])
        buffer[:, :ahead] = x[:, :ahead]
        start = 0 if self.dense_input else ahead
        end = ahead
        for i, layer in enumerate(self.layers):
            y = layer(x if i == 0 else buffer[:, start:end])
            buffer[:, end : end + y.shape[1]] = y
            end += y.shape[1]
        return buffer if self.keep_input else buffer[:, ahead:]


def rewrite(bench: RewriteContext) -> None:
    """Rewrite every dense block."""
    for path, block in bench.modules():
        if is_exactly(block, DenseBlock):
            bench.substitute(block, BufferedDense(block))
            bench.applied(NAME, path, "one buffer for all layers")

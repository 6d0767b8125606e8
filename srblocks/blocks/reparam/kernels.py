"""Re-parameterized convolutions: chains and branches in training, one convolution for inference.

Every block equals a single zero-padded convolution, which `ReparameterizedConv.fused` returns; `srblocks.optimize`
replaces the blocks by it. Chains pad their input with zeros once and then convolve without padding. That is what makes
the fused convolution exact at the borders, too.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..conv import conv

Kernel = tuple[Tensor, Tensor]
"""Weight (out_channels, in_channels, k, k) and bias (out_channels) of a convolution."""


class ReparameterizedConv(nn.Module):
    """Base class of blocks that equal one zero-padded convolution with stride 1.

    Subclasses implement `forward` and `kernel`.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: side of the kernel of the equal convolution, odd.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Raises:
        ValueError: `kernel_size` is even or below 1.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            name = type(self).__name__
            raise ValueError(f"{name}: the equal convolution needs an odd kernel to keep the size, got {kernel_size}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size

    def kernel(self) -> Kernel:
        """Return weight and bias of the equal convolution, computed in the dtype of the block in eval mode.

        Raises:
            NotImplementedError: a subclass does not implement it.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement kernel")

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """Return the equal convolution, with the dtype and on the device of the block.

        Raises:
            ValueError: `kernel` returns tensors of other shapes than this convolution has.

        Examples:
            >>> from srblocks import Conv3XC
            >>> block = Conv3XC(3, 8).double().eval()
            >>> x = torch.rand(1, 3, 5, 7, dtype=torch.float64)
            >>> torch.allclose(block.fused()(x), block(x))
            True
        """
        weight, bias = self.kernel()
        fused = conv(self.in_channels, self.out_channels, self.kernel_size).to(weight)
        assert fused.bias is not None
        expected, got = (fused.weight.shape, fused.bias.shape), (weight.shape, bias.shape)
        if got != expected:
            shapes = f"expected {tuple(expected[0])} and {tuple(expected[1])}, got {tuple(got[0])} and {tuple(got[1])}"
            raise ValueError(f"{type(self).__name__}.kernel: wrong shapes of weight and bias: {shapes}")
        fused.weight.copy_(weight)
        fused.bias.copy_(bias)
        return fused


def kernel_of(module: nn.Conv2d | ReparameterizedConv) -> Kernel:
    """Return weight and bias of a convolution without groups, or of the convolution that equals a block."""
    if isinstance(module, ReparameterizedConv):
        return module.kernel()
    weight = module.weight
    return weight, weight.new_zeros(module.out_channels) if module.bias is None else module.bias


def chained(first: Kernel, second: Kernel) -> Kernel:
    """Return the kernel of two convolutions in a row, the second of which does not pad."""
    (weight1, bias1), (weight2, bias2) = first, second
    reach = weight2.shape[2] - 1
    padded = F.pad(weight1.transpose(0, 1), [reach] * 4)
    weight = F.conv2d(padded, weight2.flip(2, 3)).transpose(0, 1)
    return weight, weight2.sum((2, 3)) @ bias1 + bias2


def added(*kernels: Kernel) -> Kernel:
    """Return the kernel of parallel convolutions whose outputs are added; smaller kernels are centered."""
    side = max(weight.shape[2] for weight, _ in kernels)
    weights = [F.pad(weight, [(side - weight.shape[2]) // 2] * 4) for weight, _ in kernels]
    return torch.stack(weights).sum(0), torch.stack([bias for _, bias in kernels]).sum(0)


def identity_kernel(channels: int, like: Tensor) -> Kernel:
    """Return the 1x1 kernel of the identity, with the dtype and on the device of `like`."""
    return torch.eye(channels).to(like)[:, :, None, None], like.new_zeros(channels)


def normalized(kernel: Kernel, norm: nn.BatchNorm2d) -> Kernel:
    """Return the kernel of a convolution followed by a batch normalization in eval mode."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("the batch normalization must track running statistics")
    return fuse_conv_bn_weights(*kernel, mean, variance, norm.eps, norm.weight, norm.bias)


def check_identity(name: str, argument: str, identity: bool, in_channels: int, out_channels: int) -> None:
    """Raise an error for an identity between unequal channels.

    Raises:
        ValueError: the channels differ.
    """
    if identity and in_channels != out_channels:
        raise ValueError(
            f"{name}: {argument} needs equal channels, got {in_channels} in and {out_channels} out; "
            f"use {argument}=False"
        )

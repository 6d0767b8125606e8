"""Networks for the tests of the Hugging Face Hub."""

from typing import Any

import torch
from torch import nn

from helpers.support import filled
from srblocks import EDSR, PixelShuffleUp, PostUpsampling, conv
from srblocks.integrations.hub import HubMixin


class First(HubMixin, EDSR):
    pass


class Assembled(HubMixin, PostUpsampling):
    """User-defined class whose arguments JSON can store."""

    def __init__(self, *, scale: int = 2, width: int = 6) -> None:
        super().__init__(
            scale=scale,
            image_channels=3,
            head=conv(3, width),
            body=nn.Identity(),
            upsampler=PixelShuffleUp(width, scale),
            tail=conv(width, 3),
        )


def small(**arguments: Any) -> EDSR:
    return filled(EDSR(**{"scale": 3, "depth": 1, "width": 8, **arguments}))


def same_tensors(one: nn.Module, other: nn.Module) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)

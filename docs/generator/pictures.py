"""What docs/generate.py draws: the modules, as real as they are small."""

import torch
from torch import nn

from srblocks import (
    RCAB,
    RDB,
    CascadingBlock,
    DownProjection,
    InterpolateUp,
    IterativeUpsampling,
    LaplacianLevel,
    PixelShuffleUp,
    PostUpsampling,
    PreUpsampling,
    ProgressiveUpsampling,
    ResidualBlock,
    UpProjection,
    conv,
)
from srblocks.blocks.dense import DenseBlock

from .tracing import ImageData


def _images(channels: int = 3, side: int = 8) -> tuple[torch.Tensor]:
    return (torch.zeros(1, channels, side, side),)


def _body() -> nn.Module:
    return nn.Sequential(conv(64, 64), nn.ReLU())


def pictures() -> dict[str, ImageData]:
    """Name of a class -> what to draw of it."""
    return {
        "PreUpsampling": ImageData(
            PreUpsampling(
                scale=2,
                image_channels=3,
                upsampler=InterpolateUp(3, 2),
                head=conv(3, 64),
                body=_body(),
                tail=conv(64, 3),
                image_skip=True,
            ),
            _images(),
            optional="add",
        ),
        "PostUpsampling": ImageData(
            PostUpsampling(
                scale=2,
                image_channels=3,
                head=conv(3, 64),
                body=_body(),
                upsampler=PixelShuffleUp(64, 2),
                tail=conv(64, 3),
                long_skip=True,
                image_skip=InterpolateUp(3, 2),
            ),
            _images(),
            lanes={"image_skip": 1},
            optional="add|add_1|image_skip",
        ),
        "ProgressiveUpsampling": ImageData(
            ProgressiveUpsampling(
                scale=4,
                image_channels=3,
                head=conv(3, 64),
                levels=[LaplacianLevel(64, body=_body(), image_channels=3) for _ in range(2)],
            ),
            _images(),
            inside=(LaplacianLevel,),
            lanes={"residual": 1, "image_up": 2, "+": 2},
        ),
        "IterativeUpsampling": ImageData(
            IterativeUpsampling(
                scale=2,
                image_channels=3,
                head=conv(3, 64),
                first=UpProjection(64, 2),
                downs=[DownProjection(64 * i, 2, out_channels=64) for i in (1, 2)],
                ups=[UpProjection(64 * i, 2, out_channels=64) for i in (1, 2)],
                tail=conv(3 * 64, 3),
            ),
            _images(),
        ),
        "ResidualBlock": ImageData(ResidualBlock(64, norm=nn.BatchNorm2d), _images(64)),
        "RCAB": ImageData(RCAB(64), _images(64)),
        "ResidualDenseBlock": ImageData(RDB(64, growth=32, depth=3), _images(64), inside=(DenseBlock,)),
        "CascadingBlock": ImageData(CascadingBlock(64), _images(64)),
        "UpProjection": ImageData(UpProjection(64, 2), _images(64)),
        "DownProjection": ImageData(DownProjection(64, 2), _images(64, 16)),
    }

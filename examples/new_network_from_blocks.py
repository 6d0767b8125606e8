"""Build a new network from blocks, export it and verify the artifacts."""

import tempfile
from pathlib import Path

import torch
from torch import nn

from srblocks import RCAB, RDB, CascadingBlock, InterpolateUp, PixelShuffleUp, PostUpsampling, conv
from srblocks.blocks import timm_attention
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network

# A cascade of dense blocks, timm's ECA attention and a bicubic global skip connection.
cascade = CascadingBlock(32, block=lambda channels: RDB(channels, growth=16, depth=3))
net = PostUpsampling(
    scale=4,
    image_channels=3,
    head=conv(3, 32),
    body=nn.Sequential(cascade, RCAB(32, attention=timm_attention("eca")), conv(32, 32)),
    upsampler=PixelShuffleUp(32, 4, icnr=True),
    tail=conv(32, 3),
    long_skip=True,
    image_skip=InterpolateUp(3, 4),
)
with tempfile.TemporaryDirectory() as folder:
    config = ExportConfig(formats=("onnx", "torchscript", "pt2"), out=Path(folder), name="own")
    for report in export_network(net, config):
        assert report.path and report.verification, report.error
        sr = runtime.load(report.path)(torch.rand(2, 3, 25, 18))
        print(f"{report.path.name}: verified, max error {report.verification.max_error:.1e}, {tuple(sr.shape)}")

"""Build a network from blocks, export it, verify it, run the artifact.

python examples/quickstart.py
"""

import tempfile
from pathlib import Path

import torch
from torch import nn

from srblocks import RCAB, PixelShuffleUp, PostUpsampling, ResidualGroup, conv
from srblocks_export import runtime
from srblocks_export.export import export_network
from srblocks_export.request import ExportRequest

# Four slots of a framework, filled with blocks; no class needed.
net = PostUpsampling(
    scale=4,
    image_channels=3,
    head=conv(3, 32),
    body=nn.Sequential(*(ResidualGroup(32, depth=2, block=RCAB) for _ in range(2)), conv(32, 32)),
    long_skip=True,
    upsampler=PixelShuffleUp(32, 4),
    tail=conv(32, 3),
)

with tempfile.TemporaryDirectory() as folder:
    request = ExportRequest(formats=("onnx", "torchscript", "pt2"), out=Path(folder), name="own")
    for report in export_network(net, request):
        assert report.path and report.verification, report.error
        artifact = runtime.load(report.path)
        sr = artifact(torch.rand(2, 3, 25, 18))
        print(f"{report.path.name}: verified, max error {report.verification.max_error:.1e}, {tuple(sr.shape)}")

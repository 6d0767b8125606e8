"""Write ONNX files for the stand-alone engine builder, with images and the outputs of the networks.

    python benchmarks/engine_files.py FOLDER NETWORK...

For each network: NETWORK-fp32.onnx and NETWORK-fp16.onnx with manifest.json, and NETWORK.npz with images "lr" and the
float32 output "sr".
"""

import sys
from pathlib import Path

import numpy as np
import torch

from parity import set_unit_spread_weights
from srblocks import create_network
from srblocks.networks import network_spec
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network

SIDES = (64, 96)


def main(folder: Path, names: list[str]) -> None:
    torch.manual_seed(0)
    for name in names:
        net = create_network(name, scale=min(network_spec(name).scales)).eval()
        set_unit_spread_weights(net)
        lr = torch.rand(1, net.image_channels, *SIDES)
        with torch.inference_mode():
            np.savez(folder / f"{name}.npz", lr=lr.numpy(), sr=net(lr).numpy())
        largest = (1, net.image_channels, 2 * SIDES[0], 2 * SIDES[1])
        for precision in ("fp32", "fp16"):
            config = ExportConfig(
                formats=("onnx",), out=folder, name=f"{name}-{precision}", precision=precision, maximum=largest,
                verify="one", force=True,
            )  # fmt: skip
            (report,) = export_network(net, config)
            if report.error:
                raise report.error
            print(report.path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

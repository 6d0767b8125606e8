"""Outputs against those of the authors' classes under the same fill."""

import pytest
import torch

from srblocks import create_network
from support import facts, filled, wave_image

NETWORKS = {
    "RCAN G10R20 x2": ("rcan", {"scale": 2}),
    "EDSR baseline x2": ("edsr_baseline", {"scale": 2}),
    "EDSR full x2": ("edsr", {"scale": 2}),
    "VDSR 20x64 bias, c=3, MeanShift(range 255) (input already at HR size)": (
        "vdsr",
        {"scale": 1, "image_channels": 3, "mean_shift": True, "value_range": 255.0},
    ),
    "DBPN T=7 x2": ("dbpn", {"scale": 2}),
    "DBPN T=7 x4": ("dbpn", {"scale": 4}),
    "FSRCNN 56-12-4 Y x2": ("fsrcnn", {"scale": 2}),
    "ESPCN Y x2": ("espcn", {"scale": 2}),
    "SRCNN 9-5-5 Y (input at HR size)": ("srcnn", {"scale": 1}),
}


@pytest.mark.parametrize("row", NETWORKS)
def test_output_is_that_of_the_authors_class(row: str) -> None:
    published = facts("fingerprints.json")[row]
    name, arguments = NETWORKS[row]
    net = filled(create_network(name, **arguments).double())
    with torch.no_grad():
        output = net(wave_image(tuple(published["input"]))) * published["range"]
    _, _, height, width = output.shape
    found = {
        "mean": output.mean(),
        "std": output.std(correction=0),
        "first": output[0, 0, 0, 0],
        "last": output[0, -1, -1, -1],
        "mid": output[0, 0, height // 2, width // 3],
    }
    errors = {key: abs(float(value) - published[key]) / published["std"] for key, value in found.items()}
    assert list(output.shape) == published["out_shape"]
    assert max(errors.values()) < 1e-6, errors

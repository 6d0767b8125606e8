"""NinaSR: torchSR."""

from typing import Any

import torch

from ...blocks import DIV2K_MEAN
from ..layout import Layout, LayoutMismatch, StateDictView


def _read(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("head.1.weight", size=3)
    for name, sign in (("head.0.bias", -1), ("tail.2.bias", 1)):
        view.shape(name)
        mean = sign * view.tensors[name].double().flatten()
        if mean.shape != (3,) or not torch.allclose(mean, torch.tensor(DIV2K_MEAN).double(), rtol=0, atol=1e-3):
            raise LayoutMismatch(f"{name} is not the mean color of DIV2K")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("body.{}.body.3.weight"),
        "scale": view.shuffle_factor("tail.0.weight", image_channels),
    }


LAYOUTS = (
    Layout(
        network="ninasr_b0",
        source="torchSR",
        keys={
            "head.1": "head",
            "body.{i}.body.0": "body.{i}.conv1",
            "body.{i}.body.2.body.1": "body.{i}.attention.squeeze",
            "body.{i}.body.2.body.3": "body.{i}.attention.excite",
            "body.{i}.body.3": "body.{i}.conv2",
            "tail.0": "upsampler.0",
        },
        read=_read,
        defaults={"value_range": 1.0, "mean_shift": True},
        unused_keys=("head.0", "tail.2"),
        constant_keys=("normalise.", "denormalise."),
    ),
)

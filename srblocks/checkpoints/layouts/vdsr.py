"""VDSR: the authors' MatConvNet file, the port by twtygqyy, EDSR-PyTorch, torchSR."""

from typing import Any

from ..layout import MEAN_SHIFT, Layout, LayoutMismatch, StateDictView


def _chain(view: StateDictView, names: list[str]) -> dict[str, Any]:
    """Derive the arguments from a chain of 3x3 convolutions, image to image."""
    depth = len(names)
    kernels = [view.kernel(name, size=3) for name in names]
    width, image_channels, _ = kernels[0]
    if depth < 2 or kernels[-1][0] != image_channels:
        raise LayoutMismatch("the last convolution does not output an image")
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": depth,
        "bias": names[0].replace("weight", "bias") in view,
    }


def _official(view: StateDictView) -> dict[str, Any]:
    depth = view.count("conv{}.weight", start=1)
    return _chain(view, [f"conv{i + 1}.weight" for i in range(depth)])


def _twtygqyy(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("input.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("residual_layer.{}.conv.weight") + 2,
        "bias": "input.bias" in view,
    }


def _edsr_pytorch(view: StateDictView) -> dict[str, Any]:
    depth = view.count("body.{}.0.weight")
    facts = _chain(view, [f"body.{i}.0.weight" for i in range(depth)])
    return {**facts, "_last": depth - 1, **view.mean_shift()}


def _torchsr(view: StateDictView) -> dict[str, Any]:
    """Derive the arguments; without the mean shift, the same names are used by other networks."""
    indices = view.indices("body.{}.weight")
    if not indices or indices != list(range(0, 2 * len(indices), 2)):
        raise LayoutMismatch("the indices of body are not 0, 2, 4, ...")
    view.shape("sub_mean.bias")
    facts = _chain(view, [f"body.{i}.weight" for i in indices])
    return {**facts, "_last": indices[-1], **view.mean_shift()}


LAYOUTS = (
    Layout(
        network="vdsr",
        source="the authors (MatConvNet)",
        keys={"conv1": "head.0", "conv{depth}": "tail", "conv{i}": "body.{2*i-4}"},
        read=_official,
        defaults={"scale": 1, "value_range": 1.0},
    ),
    Layout(
        network="vdsr",
        source="twtygqyy",
        keys={"input": "head.0", "residual_layer.{i}.conv": "body.{2*i}", "output": "tail"},
        read=_twtygqyy,
        defaults={"scale": 1, "value_range": 1.0},
    ),
    Layout(
        network="vdsr",
        source="EDSR-PyTorch",
        keys={**MEAN_SHIFT, "body.0.0": "head.0", "body.{_last}.0": "tail", "body.{i}.0": "body.{2*i-2}"},
        read=_edsr_pytorch,
        defaults={"scale": 1},
        required={"value_range": "255 or 1"},
    ),
    Layout(
        network="vdsr",
        source="torchSR",
        keys={**MEAN_SHIFT, "body.0": "head.0", "body.{_last}": "tail", "body.{i}": "body.{i-2}"},
        read=_torchsr,
        defaults={"scale": 1},
    ),
)

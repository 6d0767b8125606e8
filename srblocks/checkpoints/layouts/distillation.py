"""IMDN, RFDN, RLFN and BSRN: the authors' code and that of the NTIRE 2022 challenge."""

from typing import Any

from torch import Tensor

from ..layout import Layout, LayoutMismatch, StateDictView

_UNIT = {"value_range": 1.0}
_FULL = {"value_range": 255.0}


def _imdn(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("fea_conv.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("IMDB{}.c1.weight", start=1),
        "reduction": width // view.kernel("IMDB1.cca.conv_du.0.weight", size=1)[0],
        "scale": view.shuffle_factor("upsampler.0.weight", image_channels),
    }


def _imdn_ntire(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("model.0.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("model.1.sub.{}.conv1x1.weight"),
        "scale": view.shuffle_factor("model.2.weight", image_channels),
    }


def _rfdn(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("fea_conv.weight", size=3)
    view.kernel("B1.esa.conv_max.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("B{}.c1_d.weight", start=1),
        "scale": view.shuffle_factor("upsampler.0.weight", image_channels),
    }


def _rlfn(view: StateDictView, head: str, block: str) -> dict[str, Any]:
    """Read the shapes; `block` is the name of a block."""
    width, image_channels, _ = view.kernel(f"{head}.weight", size=3)
    hidden, _, _ = view.kernel(f"{block.format(1)}.c1_r.weight", size=3)
    view.kernel(f"{block.format(1)}.esa.conv3.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "hidden_width": None if hidden == width else hidden,
        "depth": view.count(f"{block}.c1_r.weight", start=1),
        "scale": view.shuffle_factor("upsampler.0.weight", image_channels),
    }


def _rlfn_authors(view: StateDictView) -> dict[str, Any]:
    return _rlfn(view, "conv_1", "block_{}")


def _rlfn_ntire(view: StateDictView) -> dict[str, Any]:
    return _rlfn(view, "fea_conv", "B{}")


def _bsrn(view: StateDictView) -> dict[str, Any]:
    shape = view.shape("fea_conv.pw.weight")
    linear = len(shape) == 2
    contrast = "B1.cca.conv_du.0.weight" in view
    _, width, _ = view.kernel("upsampler.upsampleOneStep.0.weight", size=3)
    image_channels = shape[1] // 4
    if linear == contrast or 4 * image_channels != shape[1]:
        raise LayoutMismatch(f"fea_conv.pw.weight has shape {shape}")
    read = {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("B{}.c1_d.weight", start=1),
        "contrast_attention": contrast,
        "scale": view.shuffle_factor("upsampler.upsampleOneStep.0.weight", image_channels),
    }
    return {**read, "reduction": width // view.shape("B1.cca.conv_du.0.weight")[0]} if contrast else read


def _as_convolution(tensor: Tensor) -> Tensor:
    """Return the weight of a linear layer as that of a 1x1 convolution."""
    return tensor[:, :, None, None] if tensor.ndim == 2 else tensor


def attention_keys(theirs: str, ours: str) -> dict[str, str]:
    """Return the keys of RFDN's spatial attention."""
    places = {
        "conv1": "reduce",
        "conv2": "stride",
        "conv_max": "coarse.0",
        "conv3": "coarse.2",
        "conv3_": "coarse.4",
        "conv_f": "skip",
        "conv4": "expand",
    }
    return {f"{theirs}.{name}": f"{ours}.{place}" for name, place in places.items()}


def _rlfn_keys(head: str, block: str, end: str) -> dict[str, str]:
    places = {
        "c{k}_r": "branch.{2*k-2}",
        "c5": "fuse",
        "esa.conv1": "attention.reduce",
        "esa.conv2": "attention.stride",
        "esa.conv3": "attention.coarse.0",
        "esa.conv_f": "attention.skip",
        "esa.conv4": "attention.expand",
    }
    blocks = {f"{block}.{name}": f"body.{{i-1}}.{place}" for name, place in places.items()}
    return {head: "head", **blocks, end: "body.{depth}", "upsampler.0": "upsampler.0"}


_BLOCK = "body.0.blocks.{i-1}"
_DISTILLATION = {
    "B{i}.c{k}_d": f"{_BLOCK}.distill.{{k-1}}",
    "B{i}.c{k}_r": f"{_BLOCK}.refine.{{k-1}}",
    "B{i}.c4": f"{_BLOCK}.last",
    "B{i}.c5": f"{_BLOCK}.fuse",
}


def _separable(keys: dict[str, str]) -> dict[str, str]:
    """Return the keys of convolutions that can be separable ones."""
    parts = {"": "", ".pw": ".pointwise", ".dw": ".depthwise"}
    return {f"{theirs}{part}": f"{ours}{place}" for theirs, ours in keys.items() for part, place in parts.items()}


LAYOUTS = (
    Layout(
        network="imdn",
        source="the authors",
        keys={
            "fea_conv": "head",
            "IMDB{i}.c5": f"{_BLOCK}.fuse",
            "IMDB{i}.c{k}": f"{_BLOCK}.conv{{k}}",
            "IMDB{i}.cca.conv_du.0": f"{_BLOCK}.attention.squeeze",
            "IMDB{i}.cca.conv_du.2": f"{_BLOCK}.attention.excite",
            "c.0": "body.0.fuse.0",
            "LR_conv": "body.1",
            "upsampler.0": "upsampler.0",
        },
        read=_imdn,
        defaults={**_UNIT, "contrast_attention": True},
    ),
    Layout(
        network="imdn_ntire",
        source="NTIRE 2022",
        keys={
            "model.0": "head",
            "model.1.sub.{i}.conv4": "body.{i}.conv4",
            "model.1.sub.{i}.conv{k}.0": "body.{i}.conv{k}",
            "model.1.sub.{i}.conv1x1": "body.{i}.fuse",
            "model.1.sub.{depth}": "body.{depth}",
            "model.2": "upsampler.0",
        },
        read=_imdn_ntire,
        defaults={**_UNIT, "contrast_attention": False},
    ),
    Layout(
        network="rfdn",
        source="the authors",
        keys={
            "fea_conv": "head",
            **_DISTILLATION,
            **attention_keys("B{i}.esa", f"{_BLOCK}.attention"),
            "c.0": "body.0.fuse.0",
            "LR_conv": "body.1",
            "upsampler.0": "upsampler.0",
        },
        read=_rfdn,
        defaults=_FULL,
    ),
    Layout(
        network="rlfn",
        source="the authors",
        keys=_rlfn_keys("conv_1", "block_{i}", "conv_2"),
        read=_rlfn_authors,
        defaults=_FULL,
    ),
    Layout(
        network="rlfn",
        source="NTIRE 2022",
        keys=_rlfn_keys("fea_conv", "B{i}", "LR_conv"),
        read=_rlfn_ntire,
        defaults=_FULL,
    ),
    Layout(
        network="bsrn",
        source="the authors",
        keys={
            **_separable({"fea_conv": "head.1", "c2": "body.1", **_DISTILLATION}),
            **_separable(attention_keys("B{i}.esa", f"{_BLOCK}.attention.0")),
            "B{i}.cca.conv_du.0": f"{_BLOCK}.attention.1.squeeze",
            "B{i}.cca.conv_du.2": f"{_BLOCK}.attention.1.excite",
            "B{i}.cw": f"{_BLOCK}.attention.1.weight",
            "B{i}.conv_out": f"{_BLOCK}.attention.1.conv",
            "c1": "body.0.fuse.0",
            "upsampler.upsampleOneStep.0": "upsampler.0",
        },
        read=_bsrn,
        defaults=_UNIT,
        convert=_as_convolution,
    ),
)

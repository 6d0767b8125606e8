"""SRResNet and the SRGAN generator: ports by Lornatang, leftthomas and twtygqyy (two generations each)."""

from typing import Any

from ..layout import Layout, StateDictView


def _lornatang(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("conv1.0.weight", size=9)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("trunk.{}.rcb.0.weight"),
        "scale": view.shuffle_factors("upsampling.{}.upsample_block.0.weight", width),
    }


def _leftthomas(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("block1.0.weight", size=9)
    depth = view.count("block{}.conv1.weight", start=2)
    last = max(view.indices(f"block{depth + 3}.{{}}.weight"), default=0)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": depth,
        "body_end": "norm" if f"block{depth + 2}.1.running_mean" in view else "act",
        "scale": view.shuffle_factors(f"block{depth + 3}.{{}}.conv.weight", width),
        "_last": last,
    }


def _twtygqyy(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("conv_input.weight", size=9)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": view.count("residual.{}.conv1.weight"),
        "norm": "batch" if "bn_mid.running_mean" in view else "instance",
        "scale": view.shuffle_factors("upscale4x.{}.weight", width),
    }


LAYOUTS = (
    Layout(
        network="srresnet",
        source="Lornatang",
        keys={
            "conv1.{n}": "head.{n}",
            "trunk.{i}.rcb.0": "body.{i}.conv1",
            "trunk.{i}.rcb.1": "body.{i}.norm1",
            "trunk.{i}.rcb.2": "body.{i}.act",
            "trunk.{i}.rcb.3": "body.{i}.conv2",
            "trunk.{i}.rcb.4": "body.{i}.norm2",
            "conv2.{n}": "body.{depth+n}",
            "upsampling.{k}.upsample_block.{n}": "upsampler.{3*k+n}",
            "conv3": "tail",
        },
        read=_lornatang,
        defaults={"norm": "batch", "act": "prelu", "body_end": "norm", "output": "linear", "value_range": 1.0},
    ),
    Layout(
        network="srresnet",
        source="leftthomas",
        keys={
            "block1.{n}": "head.{n}",
            "block{i}.conv1": "body.{i-2}.conv1",
            "block{i}.bn1": "body.{i-2}.norm1",
            "block{i}.prelu": "body.{i-2}.act",
            "block{i}.conv2": "body.{i-2}.conv2",
            "block{i}.bn2": "body.{i-2}.norm2",
            "block{depth+2}.{n}": "body.{depth+n}",
            "block{depth+3}.{k}.conv": "upsampler.{3*k}",
            "block{depth+3}.{k}.prelu": "upsampler.{3*k+2}",
            "block{depth+3}.{_last}": "tail.0",
        },
        read=_leftthomas,
        defaults={"norm": "batch", "act": "prelu", "bias": True, "output": "tanh01", "value_range": 1.0},
    ),
    Layout(
        network="srresnet",
        source="twtygqyy",
        keys={
            "conv_input": "head.0",
            "residual.{i}.conv{j}": "body.{i}.conv{j}",
            "residual.{i}.bn{j}": "body.{i}.norm{j}",
            "residual.{i}.in{j}": "body.{i}.norm{j}",
            "conv_mid": "body.{depth}",
            "bn_mid": "body.{depth+1}",
            "upscale4x.{k}": "upsampler.{k}",
            "conv_output": "tail",
        },
        read=_twtygqyy,
        defaults={"act": "leaky_relu", "bias": False, "body_end": "norm", "output": "linear", "value_range": 1.0},
    ),
)

"""SPAN: the authors' training code ("full"), challenge entries with folded weights ("slim"); SPANF3, PDS, SPANV2.

Full files also hold folded copies of the weights, which may be out of date: they are never used.
"""

from typing import Any

from ..layout import Layout, LayoutMismatch, StateDictView

_CHAINS = {"sk": "skip", "conv.{k}": "chain.convs.{k}"}
_BLOCKS = {
    "block_1.c{j}_r": "body.first.conv{j}",
    "block_{depth}.c{j}_r": "body.last.conv{j}",
    "block_{i}.c{j}_r": "body.middle.{i-2}.conv{j}",
}


def _slim(keys: dict[str, str]) -> dict[str, str]:
    return {f"{theirs}.eval_conv": ours for theirs, ours in keys.items()}


def _full(keys: dict[str, str]) -> dict[str, str]:
    return {f"{theirs}.{part}": f"{ours}.{place}" for theirs, ours in keys.items() for part, place in _CHAINS.items()}


def _copies(keys: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{theirs}.eval_conv" for theirs in keys)


def _span(view: StateDictView, first: str) -> dict[str, Any]:
    """Read the shapes; `first` is the name of the first convolution."""
    width, image_channels, _ = view.kernel(f"{first}.weight")
    fused, _, _ = view.kernel("conv_cat.weight", size=1)
    read = {
        "image_channels": image_channels,
        "width": width,
        "depth": len(view.indices("block_{}.c1_r.eval_conv.weight")),
        "fusion_width": None if fused == width else fused,
        "scale": view.shuffle_factor("upsampler.0.weight", image_channels),
    }
    return {**read, "mean_shift": False, "value_range": 1.0} if "no_norm" in view else read


def _span_slim(view: StateDictView) -> dict[str, Any]:
    return {**_span(view, "conv_1.eval_conv"), "deploy": True}


def _span_full(view: StateDictView) -> dict[str, Any]:
    return {**_span(view, "conv_1.sk"), "deploy": False}


def _spanf3(view: StateDictView, part: str) -> dict[str, Any]:
    unshuffled = f"conv_1.1.{part}.weight" in view
    width, inputs, _ = view.kernel(f"conv_1.1.{part}.weight" if unshuffled else f"conv_1.{part}.weight")
    outputs, _, _ = view.kernel(f"to_pixel.{part}.weight")
    factor = {3: 1, 12: 2, 48: 4}.get(inputs, 0)
    total = {3 * steps**2: steps for steps in (1, 2, 3, 4)}.get(outputs, 0)
    if not factor or not total or unshuffled != (factor > 1) or (unshuffled and total != 4):
        raise LayoutMismatch(f"conv_1 has {inputs} input channels, to_pixel {outputs} output channels")
    return {
        "image_channels": 3,
        "width": width,
        "depth": len(view.indices("block_{}.att_conv.weight")),
        "unshuffle": unshuffled or total > 2,
        "scale": total // factor,
        "_first": int(unshuffled),
    }


def _spanf3_slim(view: StateDictView) -> dict[str, Any]:
    return {**_spanf3(view, "eval_conv"), "deploy": True}


def _spanf3_full(view: StateDictView) -> dict[str, Any]:
    return {**_spanf3(view, "sk"), "deploy": False}


def _image_trunk(view: StateDictView, last: str) -> dict[str, Any]:
    """Read PDS or SPANF; `last` is the name of the last convolution."""
    width, image_channels, _ = view.kernel("block_1.c1_r.eval_conv.weight", size=3)
    _, fused, _ = view.kernel(f"{last}.eval_conv.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": len(view.indices("block_{}.c1_r.eval_conv.weight")),
        "fusion_width": fused,
        "scale": view.shuffle_factor("conv_near.weight", image_channels),
    }


def _pds(view: StateDictView) -> dict[str, Any]:
    return _image_trunk(view, "conv_2_1")


def _spanf(view: StateDictView) -> dict[str, Any]:
    return _image_trunk(view, "conv_2")


def _spanv2(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("block_1.c1.conv.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": len(view.indices("block_{}.c1.conv.weight")),
        "scale": view.shuffle_factor("conv_near.weight", image_channels),
    }


_SPAN = {"conv_1": "head", **_BLOCKS, "conv_2": "body.end"}
_SPAN_REST = {"conv_cat": "body.fuse", "upsampler.0": "upsampler.0"}
_SPAN_DEFAULTS = {"mean_shift": True, "value_range": 255.0}
_SPANF3 = {"conv_1": "head.0", "conv_1.1": "head.1", **_BLOCKS, "to_pixel": "upsampler.0"}
_SPANF3_REST = {
    "block_1.att_conv": "body.first.gate.conv",
    "block_{depth}.att_conv": "body.last.gate.conv",
    "block_{i}.att_conv": "body.middle.{i-2}.gate.conv",
    "conv_cat": "body.fuse",
}
_UNIT = {"value_range": 1.0}


def _image_trunk_keys(fuse: str, last: str) -> dict[str, str]:
    convolutions = {"block_1.c{j}_r": "body.first.{2*j-2}", "block_{i}.c{j}_r": "body.blocks.{i-2}.conv{j}"}
    return {"conv_near": "body.copies", fuse: "body.fuse", **_slim({**convolutions, last: "upsampler.0"})}


LAYOUTS = (
    Layout(
        network="span",
        source="the authors (training code)",
        keys={**_full(_SPAN), **_SPAN_REST},
        read=_span_full,
        defaults=_SPAN_DEFAULTS,
        unused_keys=(*_copies(_SPAN), "no_norm"),
        constant_keys=("normalise.",),
    ),
    Layout(
        network="span",
        source="NTIRE 2024",
        keys={**_slim(_SPAN), **_SPAN_REST},
        read=_span_slim,
        defaults=_SPAN_DEFAULTS,
        unused_keys=("no_norm",),
        constant_keys=("normalise.",),
    ),
    Layout(
        network="spanf3",
        source="traiNNer-redux (training code)",
        keys={**_full(_SPANF3), **_SPANF3_REST},
        read=_spanf3_full,
        defaults=_UNIT,
        unused_keys=_copies(_SPANF3),
    ),
    Layout(
        network="spanf3",
        source="traiNNer-redux",
        keys={**_slim(_SPANF3), **_SPANF3_REST},
        read=_spanf3_slim,
        defaults=_UNIT,
    ),
    Layout(
        network="pds",
        source="NTIRE 2026",
        keys=_image_trunk_keys("conv_cat_1", "conv_2_1"),
        read=_pds,
        defaults=_UNIT,
    ),
    Layout(
        network="spanf",
        source="NTIRE 2025",
        keys=_image_trunk_keys("conv_cat", "conv_2"),
        read=_spanf,
        defaults=_UNIT,
    ),
    Layout(
        network="spanv2",
        source="NTIRE 2026",
        keys={
            "conv_near": "body.copies",
            "block_1.c{j}.conv": "body.first.{2*j-2}",
            "block_{i}.c{j}.conv": "body.blocks.{i-2}.conv{j}",
            "block_{i}.guidance_map_conv": "body.blocks.{i-2}.gate.conv",
            "depthwise_conv": "body.fuse.0",
            "pointwise_conv": "body.fuse.1",
        },
        read=_spanv2,
        defaults=_UNIT,
    ),
)

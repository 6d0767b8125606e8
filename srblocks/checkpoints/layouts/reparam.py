"""EFDN, FMEN and ECBSR: deploy and training forms of the authors' code and of the NTIRE 2022 challenge."""

from collections.abc import Mapping
from typing import Any

import torch

from ...blocks.reparam.branches import EDGE_FILTERS
from ..layout import Layout, LayoutMismatch, StateDictView
from .distillation import attention_keys

_UNIT, _FULL = {"value_range": 1.0}, {"value_range": 255.0}
_EDGES = dict(zip(("sbx", "sby", "lpl"), EDGE_FILTERS, strict=True))
"""Fixed filters of the edge-oriented branches under their names in the files."""


def _edge_oriented(theirs: str, ours: str, convolution: str, *, pointwise: bool) -> dict[str, str]:
    """Return the keys of an edge-oriented convolution."""
    keys = {f"{theirs}.{convolution}": f"{ours}.conv"}
    for number, edge in enumerate(_EDGES):
        branch, place = f"{theirs}.conv1x1_{edge}", f"{ours}.branches.{number}"
        keys |= {
            f"{branch}.k0": f"{place}.pointwise.weight",
            f"{branch}.b0": f"{place}.pointwise.bias",
            f"{branch}.scale": f"{place}.scale",
            f"{branch}": place,
        }
    if pointwise:
        keys[f"{theirs}.conv1x1"] = f"{ours}.branches.3"
    for layer in ("0", "1"):
        place = f"{ours}.branches.{4 if pointwise else 3}.convs.{layer}"
        keys[f"{theirs}.conv1x1_3x3.k{layer}"] = f"{place}.weight"
        keys[f"{theirs}.conv1x1_3x3.b{layer}"] = f"{place}.bias"
    return keys


def _masks(theirs: str) -> tuple[str, ...]:
    return tuple(f"{theirs}.conv1x1_{edge}.mask" for edge in _EDGES)


def _check_masks(view: StateDictView) -> None:
    """Check that the stored filters are the known ones.

    Raises:
        LayoutMismatch: one is another filter.
    """
    for edge, values in _EDGES.items():
        for name, tensor in view.tensors.items():
            expected = torch.tensor(values).to(tensor)
            if name.endswith(f"_{edge}.mask") and not torch.equal(tensor, expected.expand_as(tensor)):
                raise LayoutMismatch(f"{name} is another filter")


def _efdn(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("head.weight", size=3)
    view.kernel("cells.0.conv2.rep_conv.weight", size=3)
    _check_masks(view)
    return {
        "image_channels": image_channels,
        "width": width,
        "scale": view.shuffle_factor("tail.0.weight", image_channels),
    }


def _efdn_training(view: StateDictView) -> dict[str, Any]:
    view.shape("cells.0.conv2.conv1x1_sbx.k0")
    return _efdn(view)


def _efdn_keys(convolutions: Mapping[str, str]) -> dict[str, str]:
    block = "body.block{i+1}"
    return {
        "head": "head",
        "cells.{i}.conv1.conv1x1": f"{block}.steps.0.0",
        "cells.{i}.conv{k}.act": f"{block}.steps.{{k-1}}.1",
        **convolutions,
        "cells.{i}.branch.0": f"{block}.distill_input",
        "cells.{i}.branch.{k}": f"{block}.distill.{{k-1}}",
        "cells.{i}.fuse": f"{block}.fuse",
        **attention_keys("cells.{i}.att", f"{block}.attention"),
        "local_fuse.{k}": "body.fuse{k+1}",
        "tail.0": "upsampler.0",
    }


def _fmen(view: StateDictView, blocks: str, part: str) -> dict[str, Any]:
    """Read the shapes; `blocks` is the name of the residual blocks, `part` that of a convolution in them."""
    width, image_channels, _ = view.kernel("head.weight", size=3)
    attention, _, _ = view.kernel("warmup.1.squeeze.weight", size=3)
    return {
        "image_channels": image_channels,
        "width": width,
        "attention_width": attention + 4,
        "depth": view.count(f"{blocks}.{{}}.conv1.{part}.weight"),
        "scale": view.shuffle_factor("tail.0.weight", image_channels),
    }


def _fmen_deploy(view: StateDictView) -> dict[str, Any]:
    return _fmen(view, "ERBs", "rep_conv")


def _fmen_training(view: StateDictView) -> dict[str, Any]:
    return _fmen(view, "ERBs", "expand_conv")


def _fmen_ntire(view: StateDictView) -> dict[str, Any]:
    return _fmen(view, "basic_blocks", "rep_conv")


def _fmen_keys(blocks: str, attentions: str, *, deploy: bool) -> dict[str, str]:
    ends = {"squeeze": "squeeze", "excitate": "excite"}
    parts = {"rep_conv": ""}
    if not deploy:
        ends = {"squeeze": "squeeze.conv", "excitate": "excite.conv"}
        ends |= {"bn1": "squeeze.norm1", "bn2": "excite.norm1", "bn3": "excite.norm2"}
        parts = {"expand_conv": ".expand", "fea_conv": ".conv", "reduce_conv": ".reduce"}
    chains = {f"{blocks}.{{i}}": "body.{2*i+2}"}
    keys = {"head": "head", "warmup.0": "body.0", "lr_conv": "body.{2*depth+2}", "tail.0": "upsampler.0"}
    for theirs, ours in (("warmup.1", "body.1"), (f"{attentions}.{{i}}", "body.{2*i+3}")):
        chains[f"{theirs}.convs.{{j}}"] = f"{ours}.blocks.{{j}}"
        keys |= {f"{theirs}.{name}": f"{ours}.{place}" for name, place in ends.items()}
    for theirs, ours in chains.items():
        keys |= {f"{theirs}.conv{{k}}.{part}": f"{ours}.{{2*k-2}}{place}" for part, place in parts.items()}
    return keys


def _ecbsr(view: StateDictView) -> dict[str, Any]:
    width, image_channels, _ = view.kernel("backbone.0.conv3x3.weight", size=3)
    last = view.count("backbone.{}.conv3x3.weight") - 1
    _check_masks(view)
    return {
        "image_channels": image_channels,
        "width": width,
        "depth": last - 1,
        "act": "prelu" if "backbone.0.act.weight" in view else "relu",
        "scale": view.shuffle_factor(f"backbone.{last}.conv3x3.weight", image_channels),
        "_last": last,
    }


def _ecbsr_training(view: StateDictView) -> dict[str, Any]:
    view.shape("backbone.0.conv1x1_sbx.k0")
    return _ecbsr(view)


_ECBSR_PLACES = {
    "backbone.0": "head.{n}",
    "backbone.{_last}": "upsampler.{n}",
    "backbone.{i}": "body.{2*i-2+n}",
}


def _ecbsr_keys(*, deploy: bool) -> dict[str, str]:
    keys: dict[str, str] = {}
    for theirs, place in _ECBSR_PLACES.items():
        ours, act = (place.replace("{n}", n).replace("+n", f"+{n}") for n in ("0", "1"))
        keys[f"{theirs}.act"] = act
        if deploy:
            keys[f"{theirs}.conv3x3"] = ours
        else:
            keys |= _edge_oriented(theirs, ours, "conv3x3", pointwise=False)
    return keys


_EFDN_CONV = ("cells.{i}.conv{k}", "body.block{i+1}.steps.{k-1}.0")

LAYOUTS = (
    Layout(
        network="efdn",
        source="NTIRE 2022",
        keys=_efdn_keys({f"{_EFDN_CONV[0]}.rep_conv": _EFDN_CONV[1]}),
        read=_efdn,
        defaults={**_UNIT, "deploy": True},
    ),
    Layout(
        network="efdn",
        source="NTIRE 2022 (training form)",
        keys=_efdn_keys(_edge_oriented(*_EFDN_CONV, "rep_conv", pointwise=True)),
        read=_efdn_training,
        defaults={**_UNIT, "deploy": False, "identity": True, "expand": True},
        unused_keys=_masks("cells.{i}.conv{k}"),
    ),
    Layout(
        network="fmen",
        source="the authors",
        keys=_fmen_keys("ERBs", "HFABs", deploy=True),
        read=_fmen_deploy,
        defaults={**_FULL, "deploy": True},
    ),
    Layout(
        network="fmen",
        source="the authors (training form)",
        keys=_fmen_keys("ERBs", "HFABs", deploy=False),
        read=_fmen_training,
        defaults={**_FULL, "deploy": False},
    ),
    Layout(
        network="fmen",
        source="NTIRE 2022",
        keys=_fmen_keys("basic_blocks", "hfabs", deploy=True),
        read=_fmen_ntire,
        defaults={**_FULL, "deploy": True},
    ),
    Layout(
        network="ecbsr",
        source="the authors",
        keys=_ecbsr_keys(deploy=True),
        read=_ecbsr,
        defaults={**_UNIT, "deploy": True},
    ),
    Layout(
        network="ecbsr",
        source="the authors (training form)",
        keys=_ecbsr_keys(deploy=False),
        read=_ecbsr_training,
        defaults={**_UNIT, "deploy": False, "identity": False},
        unused_keys=_masks("backbone.{i}"),
    ),
)

"""SRCNN: ports by yjn870 and Nhat-Thanh; the latter was trained without padding."""

from typing import Any

from ..layout import Layout, LayoutMismatch, StateDictView


def _read(view: StateDictView, first: str, second: str, third: str) -> dict[str, Any]:
    width, image_channels, _ = view.kernel(f"{first}.weight", size=9)
    _, _, mapping_kernel = view.kernel(f"{second}.weight")
    if view.kernel(f"{third}.weight", size=5)[0] != image_channels:
        raise LayoutMismatch("the last convolution does not output an image")
    return {"image_channels": image_channels, "width": width, "mapping_kernel": mapping_kernel}


def _yjn870(view: StateDictView) -> dict[str, Any]:
    return _read(view, "conv1", "conv2", "conv3")


def _nhat_thanh(view: StateDictView) -> dict[str, Any]:
    facts = _read(view, "patch_extraction", "nonlinear_map", "recon")
    return {**facts, "color": "ycbcr" if facts["image_channels"] == 3 else "y"}


LAYOUTS = (
    Layout(
        network="srcnn",
        source="yjn870",
        keys={"conv1": "head.0", "conv2": "body.0", "conv3": "tail"},
        read=_yjn870,
        defaults={"scale": 1, "value_range": 1.0},
    ),
    Layout(
        network="srcnn",
        source="Nhat-Thanh",
        keys={"patch_extraction": "head.0", "nonlinear_map": "body.0", "recon": "tail"},
        read=_nhat_thanh,
        defaults={"scale": 1, "value_range": 1.0},
    ),
)

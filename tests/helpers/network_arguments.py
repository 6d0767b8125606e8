"""Random legal constructor arguments of the registered networks, kept small."""

import inspect
from collections.abc import Mapping
from typing import Literal, get_args, get_origin

from hypothesis import strategies as st

from srblocks.registry import NetworkSpec

_SMALL, _FLAG = st.integers(1, 2), st.booleans()

_NUMBERS: Mapping[str, st.SearchStrategy[object]] = {
    "width": st.sampled_from((16, 32)),
    "head_width": st.sampled_from((8, 20)),
    "upsampler_width": st.sampled_from((8, 20)),
    "shrunk_width": st.integers(3, 8),
    "growth": st.integers(3, 10),
    "expansion": st.sampled_from((1.0, 1.5, 2.0)),
    "kernel_size": st.sampled_from((3, 5, 17)),
    "split": st.sampled_from((0.25, 0.5)),
    "attention_width": st.sampled_from((5, 8)),
    "hidden_width": st.sampled_from((None, 12)),
    "reduction": st.sampled_from((2, 4, 16)),
    "groups": st.sampled_from((1, 2, 4)),
    "stages": st.integers(1, 4),
    "steps": st.integers(3, 5),
    "mapping_kernel": st.sampled_from((1, 3, 5)),
    "upconv_kernel": st.sampled_from((3, 4)),
    "deconv_kernel": st.sampled_from((2, 3, 4)),
    "value_range": st.sampled_from((1.0, 255.0, 2.5)),
    "res_scale": st.sampled_from((1.0, 0.1, 0.37)),
}
"""Values by argument name; other integers are 1 or 2, flags are random, and Literal arguments one of their choices."""

_SPECIAL: Mapping[tuple[str, str], st.SearchStrategy[object]] = {
    ("dbpn", "recursions"): st.sampled_from((None, 1, 2)),
    ("drn", "depth"): st.integers(0, 2),
    ("drn", "width"): st.just(16),  # its deepest features are `scale` times as wide
    ("espcn", "depth"): st.integers(2, 4),
    ("lapsrn", "depth"): st.sampled_from((1, 2)),
    ("prosr", "blocks"): st.lists(_SMALL, min_size=3, max_size=3),
    ("pds", "fusion_width"): st.sampled_from((8, 12)),
    ("rdn", "fusion_width"): st.sampled_from((None, 12)),
    ("rednet", "depth"): st.sampled_from((6, 10)),
    ("span", "depth"): st.integers(2, 3),
    ("span", "fusion_width"): st.sampled_from((8, 12)),
    ("srresnet", "bias"): st.sampled_from((None, True, False)),
    ("vdsr", "depth"): st.integers(2, 4),
}
"""Values by the start of the network's name and the argument name."""


def choices(spec: NetworkSpec) -> dict[str, tuple[str, ...]]:
    """Return the Literal arguments of a network and their choices."""
    build, _ = spec.constructor
    parameters = inspect.signature(build).parameters
    hints = {name: parameter.annotation for name, parameter in parameters.items()}
    return {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}


@st.composite
def arguments(draw: st.DrawFn, spec: NetworkSpec) -> dict[str, object]:
    """Return random legal arguments of a network, including its scale and channels; depths stay low."""
    scale, channels = draw(st.sampled_from(spec.scales)), draw(st.sampled_from((1, 3)))
    chosen: dict[str, object] = {"scale": scale, "image_channels": channels}
    for name, default in spec.arguments().items():
        if name == "scales":
            others = draw(st.lists(st.sampled_from(spec.scales), max_size=2))
            chosen[name] = sorted({scale, *others})
        elif name == "mean_shift":
            chosen[name] = channels == 3 and draw(_FLAG)
        elif name == "color":
            chosen[name] = draw(st.sampled_from((None, "other", *(("y",) if channels == 1 else ("rgb", "ycbcr")))))
        elif name not in chosen:
            chosen[name] = draw(_values(spec, name, default))
    return chosen


def _values(spec: NetworkSpec, name: str, default: object) -> st.SearchStrategy[object]:
    special = [
        values for (start, argument), values in _SPECIAL.items() if spec.name.startswith(start) and argument == name
    ]
    if special:
        return special[0]
    if name in choices(spec):
        return st.sampled_from(choices(spec)[name])
    if name in _NUMBERS:
        return _NUMBERS[name]
    if isinstance(default, bool):
        return _FLAG
    assert isinstance(default, int), f"{spec.name}: add legal values of {name}={default!r} to {__name__}"
    return _SMALL

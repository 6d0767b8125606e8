"""Random constructor arguments that a network of the registry must take, kept small."""

from collections.abc import Mapping

from hypothesis import strategies as st

from srblocks.registry import NetworkSpec

_ONE, _FLAG = st.integers(1, 2), st.booleans()

_NUMBERS: Mapping[str, st.SearchStrategy[object]] = {
    "width": st.sampled_from((16, 32)),
    "head_width": st.sampled_from((8, 20)),
    "upsampler_width": st.sampled_from((8, 20)),
    "shrunk_width": st.integers(3, 8),
    "growth": st.integers(3, 10),
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
"""By name; other integers are 1 or 2, and other arguments as their defaults show."""

_WORDS: Mapping[str, tuple[str, ...]] = {
    "act": ("relu", "tanh"),
    "body_end": ("norm", "act"),
    "interpolation": ("bicubic", "bilinear"),
    "norm": ("batch", "instance"),
    "output": ("linear", "tanh01"),
    "skip": ("add", "concat"),
    "skips": ("all", "hl", "h"),
    "strides": ("none", "ends", "pairs"),
    "upsampling": ("deconv", "bilinear"),
    "variant": ("s", "l"),
}

_OWN: Mapping[tuple[str, str], st.SearchStrategy[object]] = {
    ("dbpn", "recursions"): st.sampled_from((None, 1, 2)),
    ("drn", "depth"): st.integers(0, 2),
    ("espcn", "depth"): st.integers(2, 4),
    ("lapsrn", "depth"): st.sampled_from((1, 2)),
    ("prosr", "blocks"): st.lists(_ONE, min_size=3, max_size=3),
    ("rcan", "upsampling"): st.sampled_from(("stepwise", "direct")),
    ("rdn", "fusion_width"): st.sampled_from((None, 12)),
    ("rdn", "upsampling"): st.sampled_from(("pixel_shuffle", "bilinear")),
    ("rednet", "depth"): st.sampled_from((6, 10)),
    ("srresnet", "act"): st.sampled_from(("prelu", "leaky_relu")),
    ("srresnet", "bias"): st.sampled_from((None, True, False)),
    ("vdsr", "depth"): st.integers(2, 4),
}
"""By what the name of the network begins with, and the argument."""


@st.composite
def arguments(draw: st.DrawFn, spec: NetworkSpec) -> dict[str, object]:
    """Legal arguments of a network, its scale and its channels among them; those that make it deep stay low."""
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
            chosen[name] = draw(_choices(spec, name, default))
    return chosen


def _choices(spec: NetworkSpec, name: str, default: object) -> st.SearchStrategy[object]:
    own = [choices for (start, argument), choices in _OWN.items() if spec.name.startswith(start) and argument == name]
    if own:
        return own[0]
    if name in _NUMBERS:
        return _NUMBERS[name]
    if isinstance(default, bool):
        return _FLAG
    if isinstance(default, int):
        return _ONE
    assert name in _WORDS, f"{spec.name}: what may {name}={default!r} be? Say it in tests/network_arguments.py"
    return st.sampled_from(_WORDS[name])

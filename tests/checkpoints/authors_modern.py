"""Layouts of modern networks, see `authors`.

Sources: BasicSR (rrdbnet_arch.py, srvgg_arch.py), ESRGAN (RRDBNet_arch.py and its first code), SPAN (span_arch.py),
NTIRE 2022 to 2026 (efficient super-resolution), traiNNer-redux (spanf3_arch.py, realplksr_arch.py), RLFN (rlfn.py), PAN
(PAN_arch.py), ECBSR (ecbsr.py), SAFMN (light_safmnpp_arch.py), torchSR (ninasr.py).
"""

from collections.abc import Callable, Iterator

from checkpoints.authors import StateDictView, conv, slope


def rrdbnet(
    upconvs: int,
    *,
    width: int = 16,
    depth: int = 2,
    growth: int = 32,
    channels: int = 3,
    unshuffle: int = 1,
    source: str = "new",
    plus: bool = False,
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Tensors of RRDBNet with that number of upsampling steps."""
    first, block, end, last = {
        "new": ("conv_first", "body.{}.rdb{}.conv{}", "conv_body", "conv_last"),
        "middle": ("conv_first", "RRDB_trunk.{}.RDB{}.conv{}", "trunk_conv", "conv_last"),
        "old": ("model.0", "model.1.sub.{}.RDB{}.conv{}.0", f"model.1.sub.{depth}", f"model.{3 * upconvs + 4}"),
    }[source]
    up = {"new": "conv_up{}", "middle": "upconv{}", "old": "model.{}"}[source]
    hidden = {"new": "conv_hr", "middle": "HRconv", "old": f"model.{3 * upconvs + 2}"}[source]
    yield from conv(first, width, channels * unshuffle**2)
    for i in range(depth):
        for j in (1, 2, 3):
            if plus:
                yield from conv(f"model.1.sub.{i}.RDB{j}.conv1x1", growth, width, 1, bias=False)
            for k in range(1, 6):
                yield from conv(block.format(i, j, k), growth if k < 5 else width, width + (k - 1) * growth)
    yield from conv(end, width, width)
    for k in range(1, upconvs + 1):
        yield from conv(up.format(3 * k if source == "old" else k), width, width)
    yield from conv(hidden, width, width)
    yield from conv(last, channels, width)


def compact(scale: int, *, width: int, depth: int, prelu: bool = True, channels: int = 3) -> StateDictView:
    for i in range(depth + 1):
        yield from conv(f"body.{2 * i}", width, channels if i == 0 else width)
        if prelu:
            yield from slope(f"body.{2 * i + 1}", width)
    yield from conv(f"body.{2 * depth + 2}", channels * scale**2, width)


def slim(name: str, outputs: int, inputs: int) -> StateDictView:
    yield from conv(f"{name}.eval_conv", outputs, inputs)


def full(name: str, outputs: int, inputs: int) -> StateDictView:
    yield from conv(f"{name}.conv.0", 2 * inputs, inputs, 1)
    yield from conv(f"{name}.conv.1", 2 * outputs, 2 * inputs)
    yield from conv(f"{name}.conv.2", outputs, 2 * outputs, 1)
    yield from conv(f"{name}.sk", outputs, inputs, 1)


Layer = Callable[[str, int, int], StateDictView]


def span(scale: int, *, width: int, fused: int, layer: Layer = slim, depth: int = 6) -> StateDictView:
    yield from layer("conv_1", width, 3)
    for i in range(1, depth + 1):
        for j in (1, 2, 3):
            yield from layer(f"block_{i}.c{j}_r", width, width)
    yield from layer("conv_2", width, width)
    yield from conv("conv_cat", fused, 4 * width, 1)
    yield from conv("upsampler.0", 3 * scale**2, fused)


def span_copies(width: int, depth: int = 6) -> StateDictView:
    """Folded copies in training files, which nothing uses."""
    yield from slim("conv_1", width, 3)
    for i in range(1, depth + 1):
        for j in (1, 2, 3):
            yield from slim(f"block_{i}.c{j}_r", width, width)
    yield from slim("conv_2", width, width)


def spanf3(scale: int, *, width: int, depth: int, unshuffle: int, layer: Layer = slim) -> StateDictView:
    yield from layer("conv_1.1" if unshuffle > 1 else "conv_1", width, 3 * unshuffle**2)
    for i in range(1, depth + 1):
        for j in (1, 2, 3):
            yield from layer(f"block_{i}.c{j}_r", width, width)
        yield from conv(f"block_{i}.att_conv", width, width, 1)
    yield from conv("conv_cat", width, 4 * width, 1)
    yield from layer("to_pixel", 3 * (scale * unshuffle) ** 2, width)


def pds(scale: int, *, width: int, fused: int, names: tuple[str, str]) -> StateDictView:
    for i in range(1, 6):
        for j in (1, 2, 3):
            yield from slim(f"block_{i}.c{j}_r", width, 3 if i == j == 1 else width)
        if i == 1:
            yield "conv_near.weight", (3 * scale**2, 1, 3, 3)
    yield from conv(names[0], fused, 3 * scale**2 + 2 * width, 1)
    yield from slim(names[1], 3 * scale**2, fused)


def esa(name: str, width: int, hidden: int) -> StateDictView:
    """The attention of RLFN."""
    yield from conv(f"{name}.conv1", hidden, width, 1)
    yield from conv(f"{name}.conv2", hidden, hidden)
    yield from conv(f"{name}.conv3", hidden, hidden)
    yield from conv(f"{name}.conv_f", hidden, hidden, 1)
    yield from conv(f"{name}.conv4", width, hidden, 1)


def rlfn(scale: int, *, width: int, hidden: int, depth: int) -> StateDictView:
    yield from conv("conv_1", width, 3)
    for i in range(1, depth + 1):
        channels = (width, hidden, hidden, width)
        for j in (1, 2, 3):
            yield from conv(f"block_{i}.c{j}_r", channels[j], channels[j - 1])
        yield from conv(f"block_{i}.c5", width, width, 1)
        yield from esa(f"block_{i}.esa", width, 16)
    yield from conv("conv_2", width, width)
    yield from conv("upsampler.0", 3 * scale**2, width)


def fmen_ntire(scale: int, *, width: int, attention: int, depth: int) -> StateDictView:
    def high_frequency(name: str, inner: int, blocks: int) -> StateDictView:
        yield from conv(f"{name}.squeeze", inner, width)
        for b in range(blocks):
            for k in (1, 2):
                yield from conv(f"{name}.convs.{b}.conv{k}.rep_conv", inner, inner)
        yield from conv(f"{name}.excitate", width, inner)

    yield from conv("head", width, 3)
    yield from conv("warmup.0", width, width)
    yield from high_frequency("warmup.1", attention - 4, 2)
    for i in range(depth):
        for k in (1, 2):
            yield from conv(f"basic_blocks.{i}.conv{k}.rep_conv", width, width)
        yield from high_frequency(f"hfabs.{i}", attention, 1)
    yield from conv("lr_conv", width, width)
    yield from conv("tail.0", 3 * scale**2, width)


def pan(steps: int, *, width: int, up: int, depth: int) -> StateDictView:
    half = width // 2
    yield from conv("conv_first", width, 3)
    for i in range(depth):
        name = f"SCPA_trunk.{i}"
        yield from conv(f"{name}.conv1_a", half, width, 1, bias=False)
        yield from conv(f"{name}.k1.0", half, half, bias=False)
        yield from conv(f"{name}.conv1_b", half, width, 1, bias=False)
        yield from conv(f"{name}.PAConv.k3", half, half, bias=False)
        yield from conv(f"{name}.PAConv.k2", half, half, 1)
        yield from conv(f"{name}.PAConv.k4", half, half, bias=False)
        yield from conv(f"{name}.conv3", width, width, 1, bias=False)
    yield from conv("trunk_conv", width, width)
    for k in range(1, steps + 1):
        yield from conv(f"upconv{k}", up, width if k == 1 else up)
        yield from conv(f"att{k}.conv", up, up, 1)
        yield from conv(f"HRconv{k}", up, up)
    yield from conv("conv_last", 3, up)


def ecbsr_deploy(scale: int, *, width: int, depth: int, prelu: bool) -> StateDictView:
    for i in range(depth + 1):
        yield from conv(f"backbone.{i}.conv3x3", width, 1 if i == 0 else width)
        if prelu:
            yield from slope(f"backbone.{i}.act", width)
    yield from conv(f"backbone.{depth + 1}.conv3x3", scale**2, width)


def safmnpp_light(scale: int, *, width: int, depth: int, hidden: int) -> StateDictView:
    yield from conv("to_feat", width, 3, bias=False)
    for i in range(depth):
        yield from conv(f"feats.{i}.conv1.proj", width, width, bias=False)
        yield f"feats.{i}.conv1.dwconv.weight", (width // 2, 1, 3, 3)
        yield from conv(f"feats.{i}.conv1.out", width, width, 1, bias=False)
        yield from conv(f"feats.{i}.conv2.conv.0", hidden, width, bias=False)
        yield from conv(f"feats.{i}.conv2.conv.2", width, hidden, 1, bias=False)
    yield from conv("to_img.0", 3 * scale**2, width, bias=False)


def realplksr(scale: int, *, width: int, depth: int, kernel: int, attention: bool, dysample: bool) -> StateDictView:
    """The form with layer normalization."""
    yield from conv("feats.0", width, 3)
    for i in range(1, depth + 1):
        yield f"feats.{i}.layer_norm.weight", (width,)
        yield f"feats.{i}.layer_norm.bias", (width,)
        yield from conv(f"feats.{i}.channel_mixer.0", 2 * width, width)
        yield from conv(f"feats.{i}.channel_mixer.2", width, 2 * width)
        yield from conv(f"feats.{i}.lk.conv", width // 4, width // 4, kernel)
        if attention:
            yield from conv(f"feats.{i}.attn.f.0", width, width)
        yield from conv(f"feats.{i}.refine", width, width, 1)
    yield from conv(f"feats.{depth + 2}", 3 * scale**2, width)
    if dysample:
        positions = 2 * (3 if scale % 2 else 4) * scale**2
        yield from conv("to_img.offset", positions, 3 * scale**2, 1)
        yield from conv("to_img.scope", positions, 3 * scale**2, 1, bias=False)
        if scale > 1:
            yield from conv("to_img.end_conv", 3, 3 * scale**2, 1)

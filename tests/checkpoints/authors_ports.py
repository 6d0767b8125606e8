"""Layouts of other ports, see `authors`.

Sources: EDSR-PyTorch (ddbpn.py), yjn870's RCAN- and REDNet-pytorch (model.py), twtygqyy/pytorch-SRResNet (srresnet.py),
jt827859032/DRRN-pytorch (drrn.py).
"""

from checkpoints.authors import StateDictView, conv, deconv, norm, shifted, shuffles, slope


def _projection(name: str, kind: str, width: int, side: int, seen: int) -> StateDictView:
    """Projection unit; `seen` is the number of earlier outputs that a 1x1 convolution fuses, 0 for none."""
    kinds = (deconv, conv, deconv) if kind == "up" else (conv, deconv, conv)
    if seen:
        yield from conv(f"{name}.bottleneck.0", width, seen * width, 1)
        yield from slope(f"{name}.bottleneck.1", width)
    for i, layer in enumerate(kinds, start=1):
        yield from layer(f"{name}.conv_{i}.0", width, width, side)
        yield from slope(f"{name}.conv_{i}.1", width)


def ddbpn_edsr_pytorch(scale: int, stages: int, width: int, head_width: int) -> StateDictView:
    side = scale + 4

    def inner() -> StateDictView:
        yield from conv("initial.0", head_width, 3)
        yield from slope("initial.1", head_width)
        yield from conv("initial.2", width, head_width, 1)
        yield from slope("initial.3", width)
        for i in range(stages):
            yield from _projection(f"upmodules.{i}", "up", width, side, i if i > 1 else 0)
            if i < stages - 1:
                yield from _projection(f"downmodules.{i}", "down", width, side, i + 1 if i > 0 else 0)
        yield from conv("reconstruction.0", 3, stages * width)

    return shifted(inner())


def rcan_yjn870(scale: int, width: int, groups: int, blocks: int, reduction: int) -> StateDictView:
    yield from conv("sf", width, 3)
    for g in range(groups):
        for b in range(blocks):
            name = f"rgs.{g}.module.{b}.module"
            yield from conv(f"{name}.0", width, width)
            yield from conv(f"{name}.2", width, width)
            yield from conv(f"{name}.3.module.1", width // reduction, width, 1)
            yield from conv(f"{name}.3.module.3", width, width // reduction, 1)
        yield from conv(f"rgs.{g}.module.{blocks}", width, width)
    yield from conv("conv1", width, width)
    yield from shuffles("upscale", scale, width)
    yield from conv("conv2", 3, width)


def srresnet_twtygqyy(depth: int, *, instance: bool) -> StateDictView:
    """Earlier commits use instance normalization without statistics, later ones batch normalization."""

    def normalized(name: str) -> StateDictView:
        yield from (each for each in norm(name, 64) if not instance or each[0].endswith(("weight", "bias")))

    names = ("in1", "in2") if instance else ("bn1", "bn2")
    yield from conv("conv_input", 64, 3, 9, bias=False)
    for i in range(depth):
        for j, name in enumerate(names, start=1):
            yield from conv(f"residual.{i}.conv{j}", 64, 64, bias=False)
            yield from normalized(f"residual.{i}.{name}")
    yield from conv("conv_mid", 64, 64, bias=False)
    yield from normalized("bn_mid")
    yield from conv("upscale4x.0", 256, 64, bias=False)
    yield from conv("upscale4x.3", 256, 64, bias=False)
    yield from conv("conv_output", 3, 64, 9, bias=False)


def rednet_yjn870(layers: int, width: int) -> StateDictView:
    """`layers` convolutions and as many transposed convolutions."""
    yield from conv("conv_layers.0.0", width, 3)
    for i in range(1, layers):
        yield from conv(f"conv_layers.{i}.0", width, width)
    for i in range(layers - 1):
        yield from deconv(f"deconv_layers.{i}.0", width, width, 3)
    yield from deconv(f"deconv_layers.{layers - 1}", width, 3, 3)


def drrn_jt827859032() -> StateDictView:
    yield from conv("input", 128, 1, bias=False)
    yield from conv("conv1", 128, 128, bias=False)
    yield from conv("conv2", 128, 128, bias=False)
    yield from conv("output", 1, 128, bias=False)

"""Layouts of residual networks, see `authors`.

Sources: EDSR-PyTorch (edsr.py, mdsr.py, common.py), yulunzhang/RCAN and daitao/SAN (TrainCode/model/san.py and
code/model/san.py), guoyongcs/DRN (drn.py, common.py), BasicSR (edsr_arch.py, rcan_arch.py, srresnet_arch.py),
Lornatang/SRGAN-PyTorch (model.py) and leftthomas/SRGAN (model.py, two generations).
"""

from collections.abc import Sequence

from checkpoints.authors import StateDictView, conv, norm, shifted, shuffles, slope


def _block(name: str, width: int, side: int = 3) -> StateDictView:
    yield from conv(f"{name}.body.0", width, width, side)
    yield from conv(f"{name}.body.2", width, width, side)


def _attention_block(name: str, width: int, squeezed: int) -> StateDictView:
    yield from _block(name, width)
    yield from conv(f"{name}.body.3.conv_du.0", squeezed, width, 1)
    yield from conv(f"{name}.body.3.conv_du.2", width, squeezed, 1)


def edsr(scale: int, width: int, depth: int) -> StateDictView:
    def inner() -> StateDictView:
        yield from conv("head.0", width, 3)
        for i in range(depth):
            yield from _block(f"body.{i}", width)
        yield from conv(f"body.{depth}", width, width)
        yield from shuffles("tail.0", scale, width)
        yield from conv("tail.1", 3, width)

    return shifted(inner())


def mdsr(scales: Sequence[int], width: int, depth: int) -> StateDictView:
    for k, scale in enumerate(scales):
        yield from conv("sub_mean", 3, 3, 1)
        yield from conv("head.0", width, 3)
        yield from _block(f"pre_process.{k}.0", width, 5)
        yield from _block(f"pre_process.{k}.1", width, 5)
        for i in range(depth):
            yield from _block(f"body.{i}", width)
        yield from conv(f"body.{depth}", width, width)
        yield from shuffles(f"upsample.{k}", scale, width)
        yield from conv("tail.0", 3, width)
        yield from conv("add_mean", 3, 3, 1)


def rcan(scale: int, width: int, groups: int, blocks: int, reduction: int) -> StateDictView:
    def inner() -> StateDictView:
        yield from conv("head.0", width, 3)
        for g in range(groups):
            for b in range(blocks):
                yield from _attention_block(f"body.{g}.body.{b}", width, width // reduction)
            yield from conv(f"body.{g}.body.{blocks}", width, width)
        yield from conv(f"body.{groups}", width, width)
        yield from shuffles("tail.0", scale, width)
        yield from conv("tail.1", 3, width)

    return shifted(inner())


def san(scale: int, groups: int, blocks: int, *, inter: int = 8) -> StateDictView:
    """64 features; the second generation of the code has 16 `inter` channels and a different forward pass."""

    def inner() -> StateDictView:
        yield from conv("head.0", 64, 3)
        for name in ("theta", "phi.0", "g.0"):
            yield from conv(f"non_local.non_local.{name}", inter, 64, 1)
        yield from conv("non_local.non_local.W", 64, inter, 1)
        for g in range(groups):
            for b in range(blocks):
                yield from conv(f"RG.{g}.rcab.{b}.conv_first.0", 64, 64)
                yield from conv(f"RG.{g}.rcab.{b}.conv_first.2", 64, 64)
            yield from conv(f"RG.{g}.soca.conv_du.0", 4, 64, 1)
            yield from conv(f"RG.{g}.soca.conv_du.2", 64, 4, 1)
            yield from conv(f"RG.{g}.conv_last", 64, 64)
            yield "gamma", (1,)
        yield from shuffles("tail.0", scale, 64)
        yield from conv("tail.1", 3, 64)

    return shifted(inner())


def san_unused(groups: int) -> StateDictView:
    """Tensors that SAN's constructor creates and its forward pass does not use."""
    for g in range(groups):
        yield f"RG.{g}.gamma", (1,)
    yield from conv("conv_last", 64, 64)
    yield from conv("non_local.soca.conv_du.0", 8, 64, 1)
    yield from conv("non_local.soca.conv_du.2", 64, 8, 1)


def drn(scale: int, width: int, depth: int) -> StateDictView:
    """The mean color is added to the image of every level, in the first one before the features are upsampled."""
    phase = scale.bit_length() - 1
    inside = [width * 2**phase, *(width * 2 ** (p + 1) for p in range(phase - 1, 0, -1))]

    yield from conv("sub_mean", 3, 3, 1)
    yield from conv("head", width, 3)
    for p in range(phase):
        yield from conv(f"down.{p}.dual_module.0.0", width * 2**p, width * 2**p, bias=False)
        yield from conv(f"down.{p}.dual_module.1", width * 2 ** (p + 1), width * 2**p, bias=False)
    yield from conv("tail.0", 3, width * 2**phase)
    yield from conv("add_mean", 3, 3, 1)
    for level, channels in enumerate(inside):
        for b in range(depth):
            yield from _attention_block(f"up_blocks.{level}.{b}", channels, channels // 16)
        yield from conv(f"up_blocks.{level}.{depth}.0", 4 * channels, channels)
        yield from conv(f"up_blocks.{level}.{depth + 1}", width * 2 ** (phase - 1 - level), channels, 1)
        yield from conv(f"tail.{level + 1}", 3, width * 2 ** (phase - level))


def edsr_basicsr(scale: int, width: int, depth: int) -> StateDictView:
    yield from conv("conv_first", width, 3)
    for i in range(depth):
        yield from conv(f"body.{i}.conv1", width, width)
        yield from conv(f"body.{i}.conv2", width, width)
    yield from conv("conv_after_body", width, width)
    yield from shuffles("upsample", scale, width)
    yield from conv("conv_last", 3, width)


def rcan_basicsr(scale: int, width: int, groups: int, blocks: int, reduction: int) -> StateDictView:
    squeezed = width // reduction
    yield from conv("conv_first", width, 3)
    for g in range(groups):
        for b in range(blocks):
            name = f"body.{g}.residual_group.{b}.rcab"
            yield from conv(f"{name}.0", width, width)
            yield from conv(f"{name}.2", width, width)
            yield from conv(f"{name}.3.attention.1", squeezed, width, 1)
            yield from conv(f"{name}.3.attention.3", width, squeezed, 1)
        yield from conv(f"body.{g}.conv", width, width)
    yield from conv("conv_after_body", width, width)
    yield from shuffles("upsample", scale, width)
    yield from conv("conv_last", 3, width)


def msrresnet(scale: int, width: int, depth: int) -> StateDictView:
    yield from conv("conv_first", width, 3)
    for i in range(depth):
        yield from conv(f"body.{i}.conv1", width, width)
        yield from conv(f"body.{i}.conv2", width, width)
    if scale == 4:
        yield from conv("upconv1", 4 * width, width)
        yield from conv("upconv2", 4 * width, width)
    else:
        yield from conv("upconv1", scale**2 * width, width)
    yield from conv("conv_hr", width, width)
    yield from conv("conv_last", 3, width)


def srresnet_lornatang(scale: int, width: int, depth: int) -> StateDictView:
    yield from conv("conv1.0", width, 3, 9)
    yield from slope("conv1.1")
    for i in range(depth):
        yield from conv(f"trunk.{i}.rcb.0", width, width, bias=False)
        yield from norm(f"trunk.{i}.rcb.1", width)
        yield from slope(f"trunk.{i}.rcb.2")
        yield from conv(f"trunk.{i}.rcb.3", width, width, bias=False)
        yield from norm(f"trunk.{i}.rcb.4", width)
    yield from conv("conv2.0", width, width, bias=False)
    yield from norm("conv2.1", width)
    for k in range(scale.bit_length() - 1):
        yield from conv(f"upsampling.{k}.upsample_block.0", 4 * width, width)
        yield from slope(f"upsampling.{k}.upsample_block.2")
    yield from conv("conv3", 3, width, 9)


def srgan_leftthomas(scale: int, *, body_end: str) -> StateDictView:
    """After the five blocks, older commits have a PReLU ("act"), newer ones a batch normalization ("norm")."""
    yield from conv("block1.0", 64, 3, 9)
    yield from slope("block1.1")
    for i in range(2, 7):
        yield from conv(f"block{i}.conv1", 64, 64)
        yield from norm(f"block{i}.bn1", 64)
        yield from slope(f"block{i}.prelu")
        yield from conv(f"block{i}.conv2", 64, 64)
        yield from norm(f"block{i}.bn2", 64)
    yield from conv("block7.0", 64, 64)
    yield from norm("block7.1", 64) if body_end == "norm" else slope("block7.1")
    doublings = scale.bit_length() - 1
    for k in range(doublings):
        yield from conv(f"block8.{k}.conv", 256, 64)
        yield from slope(f"block8.{k}.prelu")
    yield from conv(f"block8.{doublings}", 3, 64, 9)

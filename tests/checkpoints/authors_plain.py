"""Layouts of chains of convolutions and of Laplacian pyramids, see `authors`.

Sources: yjn870's SRCNN-, FSRCNN- and ESPCN-pytorch (models.py), Nhat-Thanh's SRCNN- and ESPCN-Pytorch (neuralnet.py),
PyTorch's tutorial (SuperResolutionNet), phoenix104104/LapSRN (init_LapSRN_model.m, init_MSLapSRN_model.m),
twtygqyy's pytorch-vdsr and pytorch-LapSRN, EDSR-PyTorch (vdsr.py), torchSR (models/vdsr.py),
jiny2001/deeply-recursive-cnn-tf.
"""

from checkpoints.authors import StateDictView, conv, deconv, shifted, slope


def srcnn_yjn870(image: int, mapping: int) -> StateDictView:
    yield from conv("conv1", 64, image, 9)
    yield from conv("conv2", 32, 64, mapping)
    yield from conv("conv3", image, 32, 5)


def srcnn_nhat_thanh(mapping: int) -> StateDictView:
    yield from conv("patch_extraction", 64, 3, 9)
    yield from conv("nonlinear_map", 32, 64, mapping)
    yield from conv("recon", 3, 32, 5)


def fsrcnn_yjn870(d: int, s: int, m: int, *, image: int = 1) -> StateDictView:
    """Tensors are the same at every scale: only the stride of the last layer differs."""
    yield from conv("first_part.0", d, image, 5)
    yield from slope("first_part.1", d)
    layers = [(s, d, 1), *[(s, s, 3)] * m, (d, s, 1)]
    for i, (outputs, inputs, side) in enumerate(layers):
        yield from conv(f"mid_part.{2 * i}", outputs, inputs, side)
        yield from slope(f"mid_part.{2 * i + 1}", outputs)
    yield from deconv("last_part", d, image, 9)


def espcn_yjn870(scale: int, image: int) -> StateDictView:
    yield from conv("first_part.0", 64, image, 5)
    yield from conv("first_part.2", 32, 64)
    yield from conv("last_part.0", image * scale**2, 32)


def espcn_nhat_thanh(scale: int) -> StateDictView:
    yield from conv("conv_1", 64, 3, 5)
    yield from conv("conv_2", 32, 64)
    yield from conv("conv_3", 3 * scale**2, 32)


def espcn_tutorial(scale: int) -> StateDictView:
    yield from conv("conv1", 64, 1, 5)
    yield from conv("conv2", 64, 64)
    yield from conv("conv3", 32, 64)
    yield from conv("conv4", scale**2, 32)


def vdsr_official(depth: int, width: int) -> StateDictView:
    yield from conv("conv1", width, 1)
    for i in range(2, depth):
        yield from conv(f"conv{i}", width, width)
    yield from conv(f"conv{depth}", 1, width)


def vdsr_twtygqyy() -> StateDictView:
    yield from conv("input", 64, 1, bias=False)
    for i in range(18):
        yield from conv(f"residual_layer.{i}.conv", 64, 64, bias=False)
    yield from conv("output", 1, 64, bias=False)


def vdsr_edsr_pytorch(blocks: int, width: int, *, bias: bool) -> StateDictView:
    """`common.BasicBlock` has no bias by default; in some forks it has one."""
    sizes = [(width, 3), *[(width, width)] * (blocks - 2), (3, width)]
    return shifted(*(conv(f"body.{i}.0", *size, bias=bias) for i, size in enumerate(sizes)))


def vdsr_torchsr(blocks: int, width: int) -> StateDictView:
    """One `nn.Sequential` of convolutions and activations."""
    sizes = [(width, 3), *[(width, width)] * (blocks - 2), (3, width)]
    return shifted(*(conv(f"body.{2 * i}", *size) for i, size in enumerate(sizes)))


def drcn_jiny2001(width: int, recursions: int) -> StateDictView:
    """TensorFlow variables with kernels transposed to PyTorch's order."""
    for scope, inputs in (("W-1_conv", 1), ("W0_conv", width)):
        yield f"{scope}/conv_W_1", (width, inputs, 3, 3)
        yield f"{scope}/conv_B", (width,)
    yield "W_conv", (width, width, 3, 3)
    yield "B", (width,)
    yield "WD1_conv_1", (width, width, 3, 3)
    yield "BD1", (width,)
    yield "WD2_conv_1", (1, width + 1, 3, 3)
    yield "BD2", (1,)
    yield "LayerWeights", (recursions,)


def lapsrn_official(levels: int, depth: int, width: int) -> StateDictView:
    """Levels count down; MatConvNet's parameters `*_f` and `*_b` are named weight and bias."""
    yield from conv("input_conv", width, 1)
    for level in range(levels, 0, -1):
        for i in range(1, depth + 1):
            yield from conv(f"level{level}_conv{i}", width, width)
        yield from deconv(f"level{level}_upconv", width, width, 3)
        yield from conv(f"level{level}_residual_conv", 1, width)
    for level in range(levels, 0, -1):
        yield from deconv(f"level{level}_img_up", 1, 1, 4, bias=False)


def ms_lapsrn_official(depth: int, width: int) -> StateDictView:
    """Tensors are the same for every scale and number of recursions."""
    yield from conv("input_conv", width, 1)
    for i in range(1, depth + 1):
        yield from conv(f"conv{i}", width, width)
    yield from deconv("upconv", width, width, 3)
    yield from deconv("img_up", 1, 1, 4, bias=False)
    yield from conv("residual_conv", 1, width)


def lapsrn_twtygqyy() -> StateDictView:
    yield from conv("conv_input", 64, 1, bias=False)
    for level in (1, 2):
        for i in range(10):
            yield from conv(f"convt_F{level}.0.cov_block.{2 * i}", 64, 64, bias=False)
        yield from deconv(f"convt_F{level}.0.cov_block.20", 64, 64, 4, bias=False)
        yield from deconv(f"convt_I{level}", 1, 1, 4, bias=False)
        yield from conv(f"convt_R{level}", 1, 64, bias=False)

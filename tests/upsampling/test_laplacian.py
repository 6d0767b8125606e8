import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks.upsampling import LaplacianLevel, LaplacianUp, PyramidLevel, activated_convs

SIZES = st.integers(1, 7)


def lapsrn_level(channels: int, *, depth: int, **options: object) -> LaplacianLevel:
    """Return a level with LapSRN's body of convolutions."""
    return LaplacianLevel(
        channels, body=activated_convs(channels, depth, bias=bool(options.get("bias", True))), **options
    )


def functional(level: LaplacianLevel, x: Tensor, image: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """Return the outputs of a level with the released 3x3 transposed kernel and LeakyReLU 0.2."""
    weights = level.state_dict()
    for layer in range(0, 2 * depth, 2):
        x = F.conv2d(x, weights[f"body.{layer}.weight"], weights.get(f"body.{layer}.bias"), padding=1)
        x = torch.where(x > 0, x, 0.2 * x)
    x = F.conv_transpose2d(x, weights["upsampler.deconv.weight"], weights.get("upsampler.deconv.bias"), stride=2)
    x = x[:, :, :-1, :-1]
    x = torch.where(x > 0, x, 0.2 * x)
    residual = F.conv2d(x, weights["residual.weight"], weights.get("residual.bias"), padding=1)
    kernel = weights["image_up.deconv.weight"]
    planes = [
        F.conv_transpose2d(image[:, i : i + 1], kernel[i : i + 1], stride=2, padding=1) for i in range(image.shape[1])
    ]
    return x, torch.cat(planes, 1) + residual


@settings(max_examples=10, deadline=None)
@given(
    channels=st.integers(1, 4),
    depth=st.integers(0, 3),
    image_channels=st.sampled_from([1, 3]),
    bias=st.booleans(),
    height=SIZES,
    width=SIZES,
)
def test_level_is_convs_a_cropped_deconvolution_and_a_residual(
    *, channels: int, depth: int, image_channels: int, bias: bool, height: int, width: int
) -> None:
    level = lapsrn_level(channels, depth=depth, image_channels=image_channels, bias=bias).double()
    nn.init.normal_(level.image_up.deconv.weight)
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    image = torch.rand(2, image_channels, height, width, dtype=torch.float64)
    features, upscaled = level(x, image)
    assert features.shape == (2, channels, 2 * height, 2 * width)
    assert upscaled.shape == (2, image_channels, 2 * height, 2 * width)
    expected = functional(level, x, image, depth)
    torch.testing.assert_close((features, upscaled), expected, rtol=0, atol=1e-12)


def test_hand_computed_level() -> None:
    level = lapsrn_level(1, depth=0, bias=False)
    with torch.no_grad():
        level.upsampler.deconv.weight.copy_(torch.arange(9.0).view(3, 3) - 4)
        level.residual.weight.zero_()[0, 0, 1, 1] = 8
        level.image_up.deconv.weight.fill_(1)
    features, image = level(torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), 16.0))
    # The first two rows and columns of the kernel, negative values times 0.2; the image is stamped, cropped by one.
    torch.testing.assert_close(features[0, 0], torch.tensor([[-0.8, -0.6], [-0.2, 0.0]]))
    torch.testing.assert_close(image[0, 0], torch.tensor([[9.6, 11.2], [14.4, 16.0]]))


def test_4x4_kernel_is_cropped_on_every_side() -> None:
    level = lapsrn_level(2, depth=0, upconv_kernel=4).double()
    x = torch.randn(1, 2, 5, 4, dtype=torch.float64)
    features, _ = level(x, x[:, :1])
    deconv = level.upsampler.deconv
    everything = F.conv_transpose2d(x, deconv.weight, deconv.bias, stride=2)[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(features, F.leaky_relu(everything, 0.2), rtol=0, atol=1e-12)


def test_image_upscaling_is_initialized_as_bilinear() -> None:
    level = lapsrn_level(2, depth=1, image_channels=3).double()
    nn.init.zeros_(level.residual.weight)
    nn.init.zeros_(level.residual.bias)
    image = torch.rand(1, 3, 6, 5, dtype=torch.float64)
    _, upscaled = level(torch.rand(1, 2, 6, 5, dtype=torch.float64), image)
    bilinear = F.interpolate(image, scale_factor=2, mode="bilinear")
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(upscaled[inside], bilinear[inside], rtol=0, atol=1e-15)


def test_image_upscaling_is_trainable() -> None:
    level = lapsrn_level(2, depth=1)
    level(torch.rand(1, 2, 4, 4), torch.rand(1, 1, 4, 4))[1].sum().backward()
    assert level.image_up.deconv.weight.grad.any()


def test_bias_argument_applies_to_every_layer() -> None:
    assert not [name for name in lapsrn_level(4, depth=2, bias=False).state_dict() if name.endswith("bias")]
    biases = [name for name in lapsrn_level(4, depth=2).state_dict() if name.endswith("bias")]
    assert biases == ["body.0.bias", "body.2.bias", "upsampler.deconv.bias", "residual.bias"]


def test_invalid_transposed_kernel_raises() -> None:
    with pytest.raises(ValueError, match="^LaplacianLevel: upconv_kernel must be 3 or 4, got 5$"):
        LaplacianLevel(8, body=nn.Identity(), upconv_kernel=5)


def test_activations_are_not_shared() -> None:
    level = lapsrn_level(4, depth=2, act=nn.PReLU)
    slopes = [name for name, module in level.named_modules() if isinstance(module, (nn.PReLU, nn.LeakyReLU))]
    assert slopes == ["body.1", "body.3", "upsampler.act"]


def test_pyramid_level_with_and_without_skip() -> None:
    body, up = nn.Conv2d(2, 2, 1), nn.Upsample(scale_factor=2)
    x = torch.rand(1, 2, 3, 4)
    torch.testing.assert_close(PyramidLevel(body, up, skip=True)(x), up(x + body(x)))
    torch.testing.assert_close(PyramidLevel(body, up, skip=False)(x), up(body(x)))


def test_laplacian_up_adds_a_residual_at_each_level() -> None:
    up = LaplacianUp(2, 4, out_channels=3).double()
    x = torch.rand(1, 2, 3, 4, dtype=torch.float64)
    features, image = x, up.image(x)
    for level in up.levels:
        smooth = torch.cat([level.image_up.deconv(image)], 1)
        features = level.upsampler(level.body(features))
        image = smooth + level.residual(features)
    torch.testing.assert_close(up(x), image)
    with pytest.raises(ValueError, match=r"^LaplacianUp: scale must be a power of 2 \(2, 4, 8, \.\.\.\), got 6$"):
        LaplacianUp(2, 6)

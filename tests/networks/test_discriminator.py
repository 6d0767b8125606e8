import pytest
import torch

from srblocks.networks import SRGANDiscriminator


def small() -> SRGANDiscriminator:
    return SRGANDiscriminator(image_size=16, widths=(4, 8), hidden=6)


def test_one_logit_per_image() -> None:
    net = small().double().eval()
    images = torch.rand(3, 3, 16, 16, dtype=torch.float64)
    logits = net(images)
    assert logits.shape == (3, 1)
    torch.testing.assert_close(logits, torch.cat([net(image[None]) for image in images]))
    torch.testing.assert_close(torch.jit.script(net)(images), logits)


def test_gradients_reach_every_parameter() -> None:
    net = small()
    net(torch.rand(4, 3, 16, 16)).square().sum().backward()
    assert all(parameter.grad.any() for parameter in net.parameters())


def test_invalid_sizes_raise() -> None:
    with pytest.raises(ValueError, match=r"images must be 16 x 16, got torch\.Size\(\[16, 20\]\)$"):
        small()(torch.rand(1, 3, 16, 20))
    with pytest.raises(ValueError, match=r"image_size must be a multiple of 16 for 4 widths .*, got 90$"):
        SRGANDiscriminator(image_size=90)

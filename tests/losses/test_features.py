"""Losses on features of a frozen network: content, texture, and features of timm models."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from losses.samples import GRAY, SEEDS, images
from srblocks.losses import ContentLoss, TextureLoss, timm_features


class Stages(nn.Module):
    """Network with two outputs, and layers that change in training mode."""

    def __init__(self, kind: type = list) -> None:
        super().__init__()
        self.kind = kind
        self.first = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.second = nn.Conv2d(4, 5, 3, stride=2)

    def forward(self, image: Tensor) -> list[Tensor] | dict[str, Tensor]:
        fine = self.drop(self.norm(self.first(image)))
        coarse = self.second(fine)
        return {"fine": fine, "coarse": coarse} if self.kind is dict else self.kind([fine, coarse])


def test_content_is_the_sum_over_all_features() -> None:
    for kind in (list, tuple, dict):
        features = Stages(kind).double()
        sr, hr = images(1, 2, 3, 9, 8)
        loss = ContentLoss(features)(sr, hr)
        fine = [features.norm(features.first(x)) for x in (sr, hr)]
        coarse = [features.second(x) for x in fine]
        a, b = F.mse_loss(*fine), F.mse_loss(*coarse)
        torch.testing.assert_close(loss, a + b)
        torch.testing.assert_close(ContentLoss(features, weights=[0.25, 3])(sr, hr), 0.25 * a + 3 * b)
        torch.testing.assert_close(ContentLoss(features, nn.L1Loss())(sr, hr), F.l1_loss(*fine) + F.l1_loss(*coarse))


def test_hand_computed_content() -> None:
    features = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(features.weight, 2.0)
    assert ContentLoss(features)(torch.full(GRAY, 0.75), torch.full(GRAY, 0.25)).item() == 1.0


def test_features_stay_frozen_in_training() -> None:
    for loss_class in (ContentLoss, TextureLoss):
        features = Stages()
        before = {key: value.clone() for key, value in features.state_dict().items()}
        parent = nn.ModuleDict({"loss": loss_class(features), "criterion": nn.Dropout()}).train()
        assert parent["loss"].training and parent["criterion"].training
        assert not any(module.training for module in features.modules())
        assert not any(parameter.requires_grad for parameter in features.parameters())
        assert parent["loss"].eval() is parent["loss"] and not parent["loss"].training

        sr = torch.rand(2, 3, 8, 8, requires_grad=True)
        hr = torch.rand(2, 3, 8, 8, requires_grad=True)
        loss = parent["loss"].train()(sr, hr)
        loss.backward()
        assert sr.grad is not None and sr.grad.abs().sum() > 0
        assert hr.grad is None
        assert all(parameter.grad is None for parameter in features.parameters())
        assert torch.equal(loss, parent["loss"](sr, hr))
        for key, value in features.state_dict().items():
            assert torch.equal(value, before[key]), key


def test_content_gradient() -> None:
    loss = ContentLoss(Stages().double())
    sr, hr = images(2, 1, 3, 6, 6)
    assert torch.autograd.gradcheck(lambda x: loss(x, hr), sr.requires_grad_())


def gram_by_loops(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    gram = torch.zeros(n, c, c, dtype=x.dtype)
    for k in range(n):
        for i in range(c):
            for j in range(c):
                gram[k, i, j] = sum(
                    x[k, i, row, column] * x[k, j, row, column] for row in range(h) for column in range(w)
                )
    return gram / (c * h * w)


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS, channels=st.integers(1, 4), height=st.integers(1, 4), width=st.integers(1, 4))
def test_texture_compares_gram_matrices(seed: int, channels: int, height: int, width: int) -> None:
    sr, hr = images(seed, 2, channels, height, width)
    expected = (gram_by_loops(sr) - gram_by_loops(hr)).square().mean()
    torch.testing.assert_close(TextureLoss(nn.Identity())(sr, hr), expected, rtol=1e-9, atol=1e-15)


def test_texture_is_invariant_to_position_and_content_is_not() -> None:
    (hr,) = images(3, 1, 3, 4, 6, count=1)
    shuffled = hr.flatten(2)[:, :, torch.randperm(24)].view_as(hr)
    assert TextureLoss(nn.Identity())(shuffled, hr).item() == pytest.approx(0, abs=1e-20)
    assert ContentLoss(nn.Identity())(shuffled, hr).item() > 1e-3
    assert TextureLoss(nn.Identity())(hr.flip(1), hr).item() > 1e-9


def test_texture_with_criterion_and_weights() -> None:
    features = Stages().double()
    sr, hr = images(4, 1, 3, 9, 9)
    loss = TextureLoss(features, nn.L1Loss(), weights=[2, 0.5])(sr, hr)
    pairs = zip(features(sr), features(hr), strict=True)
    a, b = [F.l1_loss(gram_by_loops(x), gram_by_loops(y)) for x, y in pairs]
    torch.testing.assert_close(loss, 2 * a + 0.5 * b)


def test_texture_of_half_precision_features_is_finite() -> None:
    bright = torch.full((1, 2, 128, 128), 8.0, dtype=torch.float16)
    assert TextureLoss(nn.Identity(), nn.L1Loss())(bright, torch.zeros_like(bright)).item() == pytest.approx(
        32, rel=1e-2
    )


def test_texture_of_vectors_raises() -> None:
    with pytest.raises(ValueError, match=r"features must have shape \(N, C, H, W\), got \(1, 12\)"):
        TextureLoss(nn.Flatten())(torch.rand(1, 3, 2, 2), torch.rand(1, 3, 2, 2))


def test_wrong_number_of_feature_weights_raises() -> None:
    for loss_class in (ContentLoss, TextureLoss):
        loss = loss_class(Stages(), weights=[1.0])
        match = f"{loss_class.__name__}: expected one weight per output \\(2\\), got 1"
        with pytest.raises(ValueError, match=match):
            loss(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))


def test_timm_features_normalize_images() -> None:
    pytest.importorskip("timm")
    features = timm_features("resnet18", pretrained=False, out_indices=[0, 2]).eval()
    image = torch.rand(2, 3, 32, 40)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    standard = ((image.permute(0, 2, 3, 1) - mean) / std).permute(0, 3, 1, 2)
    found = features(image)
    assert [tuple(x.shape) for x in found] == [(2, 64, 16, 20), (2, 128, 4, 5)]
    for x, y in zip(found, features.net(standard), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-4)


def test_timm_features_use_the_normalization_of_the_model() -> None:
    pytest.importorskip("timm")
    features = timm_features("mobilenetv3_small_050.lamb_in1k", pretrained=False)
    inception = timm_features("tf_mobilenetv3_small_minimal_100", pretrained=False)
    assert features.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert inception.mean.flatten().tolist() == inception.std.flatten().tolist() == [0.5, 0.5, 0.5]


def test_timm_features_are_frozen() -> None:
    pytest.importorskip("timm")
    loss = ContentLoss(timm_features("resnet18", pretrained=False, out_indices=[0, 1])).train()
    sr = torch.rand(1, 3, 32, 32, requires_grad=True)
    loss(sr, torch.rand(1, 3, 32, 32)).backward()
    assert sr.grad is not None and sr.grad.abs().sum() > 0
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in loss.parameters())
    assert loss(sr, sr.detach()).item() == 0


def test_timm_features_are_channels_first() -> None:
    pytest.importorskip("timm")
    features = timm_features("swin_tiny_patch4_window7_224", pretrained=False, out_indices=[0]).eval()
    with torch.no_grad():
        assert [tuple(x.shape) for x in features(torch.rand(1, 3, 224, 224))] == [(1, 96, 56, 56)]


def test_timm_features_reject_images_of_other_shapes() -> None:
    pytest.importorskip("timm")
    features = timm_features("resnet18", pretrained=False, out_indices=[0])
    for shape in ((1, 1, 32, 32), (1, 4, 32, 32), (3, 32, 32), (3, 3, 32)):
        with pytest.raises(ValueError, match=r"expected an image of shape \(N, 3, H, W\), got \(.*32\); repeat"):
            features(torch.rand(shape))


def test_unknown_timm_features_raise() -> None:
    pytest.importorskip("timm")
    for name, stages in (("no_such_model", None), ("resnet18", [9])):
        match = rf"timm cannot create features of '{name}' .*see timm.list_models\(\)"
        with pytest.raises(ValueError, match=match):
            timm_features(name, pretrained=False, out_indices=stages)


def test_pretrained_is_a_required_argument() -> None:
    with pytest.raises(TypeError, match="pretrained"):
        timm_features("resnet18")


def test_missing_timm_raises_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r'timm_features requires timm; pip install "srblocks\[timm\]"'):
        timm_features("resnet18", pretrained=False)

import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks.losses import (
    AdversarialLoss,
    CharbonnierLoss,
    ContentLoss,
    CycleLoss,
    DualRegressionLoss,
    RecursiveSupervisionLoss,
    SupervisedLoss,
    TextureLoss,
    TotalVariationLoss,
    targets_for,
    timm_features,
)

KINDS = ["vanilla", "least_squares", "hinge"]
SEEDS = st.integers(0, 10_000)
GREY = (1, 1, 2, 2)


def images(seed: int, *shape: int, count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(count)]


class Stages(nn.Module):
    """Two feature tensors, with everything that a frozen network must not do by itself."""

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


# Charbonnier


def test_charbonnier_by_hand() -> None:
    sr = torch.tensor([0.0, 3.0, -4.0, 0.0]).view(GREY)
    hr = torch.tensor([0.0, 0.0, 4.0, 2.5]).view(GREY)
    # roots of 36, 45, 100 and 42.25
    assert CharbonnierLoss(eps=6)(sr, hr).item() == pytest.approx((6 + math.sqrt(45) + 10 + 6.5) / 4)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, eps=st.floats(1e-6, 10), height=st.integers(1, 5), width=st.integers(1, 5))
def test_charbonnier_is_l1_up_to_eps(seed: int, eps: float, height: int, width: int) -> None:
    sr, hr = images(seed, 2, 3, height, width)
    loss = CharbonnierLoss(eps)(sr, hr).item()
    l1 = F.l1_loss(sr, hr).item()
    assert l1 <= loss <= l1 + eps
    assert loss > eps
    assert CharbonnierLoss(eps)(hr, hr).item() == pytest.approx(eps, rel=1e-12)


def test_charbonnier_default_is_the_papers_and_is_flat_at_zero() -> None:
    sr = torch.zeros(GREY, requires_grad=True)
    loss = CharbonnierLoss()(sr, torch.zeros(GREY))
    loss.backward()
    assert loss.item() == pytest.approx(1e-3)
    assert sr.grad is not None and not sr.grad.any()


@pytest.mark.parametrize("eps", [0, -1e-3])
def test_charbonnier_without_a_bottom_is_refused(eps: float) -> None:
    with pytest.raises(ValueError, match=rf"eps={eps} has no gradient at d = 0; use eps > 0, or nn.L1Loss"):
        CharbonnierLoss(eps)


# Total variation


def test_total_variation_by_hand() -> None:
    image = torch.tensor([[0.0, 1.0, 3.0], [5.0, 5.0, 1.0]])
    # down: 5, 4, 2; right: 1, 2, 0, 4
    assert TotalVariationLoss()(image.view(1, 1, 2, 3)).item() == pytest.approx(11 / 3 + 7 / 4)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, height=st.integers(2, 5), width=st.integers(2, 5))
def test_total_variation_is_symmetric_homogeneous_and_blind_to_brightness(seed: int, height: int, width: int) -> None:
    (image,) = images(seed, 2, 3, height, width, count=1)
    loss = TotalVariationLoss()
    expected = loss(image).item()
    assert expected > 0
    for same in (image.mT, image.flip(2), image.flip(3), image + 7, -image):
        assert loss(same).item() == pytest.approx(expected, rel=1e-9)
    assert loss(3 * image).item() == pytest.approx(3 * expected)
    assert loss(torch.full_like(image, 0.3)).item() == 0


@pytest.mark.parametrize("shape", [(1, 3, 1, 4), (1, 3, 4, 1), (5,)])
def test_total_variation_needs_neighbours(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"the image is \({', '.join(map(str, shape))},?\); give .* with H, W >= 2"):
        TotalVariationLoss()(torch.rand(shape))


# Content and texture


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_content_sums_the_comparisons_of_all_features(kind: type) -> None:
    features = Stages(kind).double()
    sr, hr = images(1, 2, 3, 9, 8)
    loss = ContentLoss(features)(sr, hr)
    fine = [features.norm(features.first(x)) for x in (sr, hr)]
    coarse = [features.second(x) for x in fine]
    a, b = F.mse_loss(*fine), F.mse_loss(*coarse)
    torch.testing.assert_close(loss, a + b)
    torch.testing.assert_close(ContentLoss(features, weights=[0.25, 3])(sr, hr), 0.25 * a + 3 * b)
    torch.testing.assert_close(ContentLoss(features, nn.L1Loss())(sr, hr), F.l1_loss(*fine) + F.l1_loss(*coarse))


def test_content_of_one_tensor_by_hand() -> None:
    features = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(features.weight, 2.0)
    assert ContentLoss(features)(torch.full(GREY, 0.75), torch.full(GREY, 0.25)).item() == 1.0


@pytest.mark.parametrize("loss_class", [ContentLoss, TextureLoss])
def test_features_stay_frozen_while_the_loss_trains(loss_class: type[ContentLoss]) -> None:
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


def test_content_gradient_is_right() -> None:
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


def test_texture_is_blind_to_place_and_content_is_not() -> None:
    (hr,) = images(3, 1, 3, 4, 6, count=1)
    moved = hr.flatten(2)[:, :, torch.randperm(24)].view_as(hr)
    assert TextureLoss(nn.Identity())(moved, hr).item() == pytest.approx(0, abs=1e-20)
    assert ContentLoss(nn.Identity())(moved, hr).item() > 1e-3
    assert TextureLoss(nn.Identity())(hr.flip(1), hr).item() > 1e-9


def test_texture_has_criterion_and_weights() -> None:
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


def test_features_without_a_plane_have_no_texture() -> None:
    with pytest.raises(ValueError, match=r"a feature tensor is \(1, 12\); use features of shape \(N, C, H, W\)"):
        TextureLoss(nn.Flatten())(torch.rand(1, 3, 2, 2), torch.rand(1, 3, 2, 2))


@pytest.mark.parametrize("loss_class", [ContentLoss, TextureLoss])
def test_another_number_of_feature_weights_is_refused(loss_class: type[ContentLoss]) -> None:
    loss = loss_class(Stages(), weights=[1.0])
    match = f"{loss_class.__name__}: 1 weights for 2 outputs; give one per output, or None"
    with pytest.raises(ValueError, match=match):
        loss(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))


# timm


def test_timm_features_see_normalised_images() -> None:
    pytest.importorskip("timm")
    features = timm_features("resnet18", pretrained=False, out_indices=[0, 2]).eval()
    image = torch.rand(2, 3, 32, 40)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    standard = ((image.permute(0, 2, 3, 1) - mean) / std).permute(0, 3, 1, 2)
    found = features(image)
    assert [tuple(x.shape) for x in found] == [(2, 64, 16, 20), (2, 128, 4, 5)]
    for x, y in zip(found, features.net(standard), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-4)


def test_timm_models_normalise_each_in_its_own_way() -> None:
    pytest.importorskip("timm")
    features = timm_features("mobilenetv3_small_050.lamb_in1k", pretrained=False)
    inception = timm_features("tf_mobilenetv3_small_minimal_100", pretrained=False)
    assert features.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert inception.mean.flatten().tolist() == inception.std.flatten().tolist() == [0.5, 0.5, 0.5]


def test_timm_content_loss_reaches_the_result_alone() -> None:
    pytest.importorskip("timm")
    loss = ContentLoss(timm_features("resnet18", pretrained=False, out_indices=[0, 1])).train()
    sr = torch.rand(1, 3, 32, 32, requires_grad=True)
    loss(sr, torch.rand(1, 3, 32, 32)).backward()
    assert sr.grad is not None and sr.grad.abs().sum() > 0
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in loss.parameters())
    assert loss(sr, sr.detach()).item() == 0


def test_timm_features_in_channels_last_order_are_turned() -> None:
    pytest.importorskip("timm")
    features = timm_features("swin_tiny_patch4_window7_224", pretrained=False, out_indices=[0]).eval()
    with torch.no_grad():
        assert [tuple(x.shape) for x in features(torch.rand(1, 3, 224, 224))] == [(1, 96, 56, 56)]


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (1, 4, 32, 32), (3, 32, 32), (3, 3, 32)])
def test_timm_features_refuse_images_that_would_be_broadcast(shape: tuple[int, ...]) -> None:
    pytest.importorskip("timm")
    features = timm_features("resnet18", pretrained=False, out_indices=[0])
    with pytest.raises(ValueError, match=r"the image is \(.*32\); this network takes \(N, 3, H, W\); repeat"):
        features(torch.rand(shape))


@pytest.mark.parametrize(("name", "stages"), [("no_such_model", None), ("resnet18", [9])])
def test_unknown_timm_features_are_refused(name: str, stages: list[int] | None) -> None:
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=rf"timm gives no features of '{name}' .*see timm.list_models\(\)"):
        timm_features(name, pretrained=False, out_indices=stages)


def test_random_features_must_be_asked_for() -> None:
    with pytest.raises(TypeError, match="pretrained"):
        timm_features("resnet18")


def test_without_timm_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r'timm_features needs timm; pip install "srblocks\[timm\]"'):
        timm_features("resnet18", pretrained=False)


# Adversarial


def bce(logits: Tensor, label: int) -> float:
    """Binary cross-entropy by its formula."""
    total = 0.0
    for logit in logits.flatten().tolist():
        probability = 1 / (1 + math.exp(-logit))
        total -= math.log(probability if label else 1 - probability)
    return total / logits.numel()


def test_vanilla_is_binary_cross_entropy() -> None:
    real, fake = torch.randn(2, 1, 3, 3, dtype=torch.float64), 2 * torch.randn(4, 1, 2, 2, dtype=torch.float64)
    loss = AdversarialLoss("vanilla")
    assert loss.generator(fake).item() == pytest.approx(bce(fake, 1))
    assert loss.discriminator(real, fake).item() == pytest.approx(bce(real, 1) + bce(fake, 0))


def test_vanilla_stands_confident_discriminators() -> None:
    loss = AdversarialLoss("vanilla")
    fake = torch.tensor([-200.0], requires_grad=True)
    loss.generator(fake).backward()
    assert fake.grad is not None and fake.grad.item() == pytest.approx(-1)
    assert loss.discriminator(torch.tensor([-200.0]), torch.tensor([200.0])).item() == pytest.approx(400)


def test_least_squares_by_hand() -> None:
    loss = AdversarialLoss("least_squares")
    real, fake = torch.tensor([0.0, 3.0]), torch.tensor([2.0, -1.0, 1.0])
    assert loss.generator(fake).item() == pytest.approx((1 + 4 + 0) / 3 / 2)
    assert loss.discriminator(real, fake).item() == pytest.approx((1 + 4) / 2 / 2 + (4 + 1 + 1) / 3 / 2)


def test_hinge_by_hand() -> None:
    loss = AdversarialLoss("hinge")
    real, fake = torch.tensor([0.0, 3.0]), torch.tensor([2.0, -4.0, 0.5])
    assert loss.generator(fake).item() == pytest.approx(0.5)
    assert loss.discriminator(real, fake).item() == pytest.approx((1 + 0) / 2 + (3 + 0 + 1.5) / 3)


@pytest.mark.parametrize("kind", KINDS)
def test_adversaries_pull_the_fakes_in_opposite_directions(kind: str) -> None:
    loss = AdversarialLoss(kind)
    real, fake = torch.tensor([0.3, -0.2], requires_grad=True), torch.tensor([0.2, 0.4], requires_grad=True)
    up_real, down_fake = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    (up_fake,) = torch.autograd.grad(loss.generator(fake), fake)
    assert (up_real < 0).all()
    assert (down_fake > 0).all()
    assert (up_fake < 0).all()


def test_another_kind_of_adversary_is_refused() -> None:
    with pytest.raises(ValueError, match="kind='wgan'; use 'vanilla', 'least_squares' or 'hinge'"):
        AdversarialLoss("wgan")


# Cycle


def test_cycle_compares_with_the_small_image() -> None:
    sr = torch.tensor([[1.0, 3.0], [5.0, 7.0]]).view(GREY).requires_grad_()
    lr = torch.full((1, 1, 1, 1), 6.0)
    loss = CycleLoss(lambda image: image.mean((2, 3), keepdim=True))(sr, lr)
    loss.backward()
    assert loss.item() == 2
    assert sr.grad is not None and sr.grad.flatten().tolist() == [-0.25] * 4
    assert CycleLoss(nn.AvgPool2d(2), nn.MSELoss())(sr, lr).item() == 4


def test_cycle_refuses_a_degradation_to_another_size() -> None:
    match = r"CycleLoss: degrade\(sr\) is \(1, 3, 4, 4\) but lr is \(1, 3, 8, 8\); give two of the same shape"
    with pytest.raises(ValueError, match=match):
        CycleLoss(nn.AvgPool2d(2))(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))


# Lists of outputs


@pytest.mark.parametrize(("size", "small"), [((8, 12), (4, 6)), ((16, 16), (4, 8)), ((9, 7), (3, 7))])
def test_targets_are_antialiased_reductions_of_hr(size: tuple[int, int], small: tuple[int, int]) -> None:
    hr = torch.rand(2, 3, *size, dtype=torch.float64)
    reduced, same = targets_for([torch.zeros(2, 3, *small), torch.zeros(2, 3, *size)], hr)
    assert same is hr
    expected = hr
    for axis, (a, b) in enumerate(zip(size, small, strict=True), start=2):
        expected = torch.tensordot(expected, reduction(a, b), ([axis], [1])).movedim(-1, axis)
    torch.testing.assert_close(reduced, expected, rtol=0, atol=1e-12)


def reduction(size: int, small: int) -> Tensor:
    """Keys' cubic with a = -1/2, widened by the factor; weights outside of the image are left out."""
    factor = size / small
    matrix = torch.zeros(small, size, dtype=torch.float64)
    for row in range(small):
        for column in range(size):
            x = abs((column + 0.5) / factor - (row + 0.5))
            if x < 1:
                matrix[row, column] = 1.5 * x**3 - 2.5 * x**2 + 1
            elif x < 2:
                matrix[row, column] = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return matrix / matrix.sum(1, keepdim=True)


BAD_OUTPUTS = [(2, 3, 4, 4), (1, 1, 4, 4), (1, 3, 9, 4), (1, 3, 4, 9), (3, 8, 8), (1, 3, 1, 4, 4)]


@pytest.mark.parametrize("shape", BAD_OUTPUTS)
def test_outputs_that_hr_cannot_be_reduced_to_are_refused(shape: tuple[int, ...]) -> None:
    shown = str(shape).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=rf"output 1 is {shown} but hr is \(1, 3, 8, 8\); .* not larger than hr"):
        targets_for([torch.zeros(1, 3, 4, 4), torch.zeros(shape)], torch.rand(1, 3, 8, 8))


def test_no_outputs_have_no_targets() -> None:
    with pytest.raises(ValueError, match="targets_for: no outputs; give at least one image"):
        targets_for([], torch.rand(1, 3, 8, 8))


def test_supervised_by_hand() -> None:
    outputs = [torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 4, 4), 3.0)]
    targets = [torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 4, 4)]
    assert SupervisedLoss(nn.L1Loss())(outputs, targets).item() == 2.5
    assert SupervisedLoss(nn.MSELoss(), weights=[2, 0.25])(outputs, tuple(targets)).item() == 1.5


def test_supervised_makes_targets_of_hr() -> None:
    (hr,) = images(5, 2, 3, 12, 8, count=1)
    outputs = images(6, 2, 3, 6, 4, count=1) + images(7, 2, 3, 12, 8)
    expected = sum(F.mse_loss(a, b) for a, b in zip(outputs, targets_for(outputs, hr), strict=True))
    torch.testing.assert_close(SupervisedLoss(nn.MSELoss())(outputs, hr), expected)


def test_the_average_of_one_output_is_the_criterion() -> None:
    sr, hr = images(8, 1, 3, 4, 4)
    assert SupervisedLoss(CharbonnierLoss())([sr], hr) == CharbonnierLoss()(sr, hr)


def test_supervision_reaches_every_output() -> None:
    outputs = [torch.rand(1, 3, side, side, requires_grad=True) for side in (2, 4, 8)]
    SupervisedLoss(CharbonnierLoss())(outputs, torch.rand(1, 3, 8, 8)).backward()
    assert all(output.grad is not None and output.grad.abs().sum() > 0 for output in outputs)


def dual_example() -> tuple[nn.ModuleList, list[Tensor], list[Tensor]]:
    duals = nn.ModuleList([nn.Conv2d(3, 3, 3, stride=2, padding=1), nn.Conv2d(3, 3, 2, stride=2)])
    outputs = [torch.rand(1, 3, side, side, requires_grad=True) for side in (3, 6, 12)]
    return duals, outputs, [torch.rand_like(output) for output in outputs]


@pytest.mark.parametrize("weight", [0.1, 2.0])
def test_dual_regression_is_the_sum_of_primary_and_dual_terms(weight: float) -> None:
    duals, (y0, y1, y2), (t0, t1, t2) = dual_example()
    loss = DualRegressionLoss(duals, weight=weight)([y0, y1, y2], [t0, t1, t2])
    primary = F.l1_loss(y0, t0) + F.l1_loss(y1, t1) + F.l1_loss(y2, t2)
    dual = F.l1_loss(duals[0](y1), t0) + F.l1_loss(duals[1](y2), t1)
    torch.testing.assert_close(loss, primary + weight * dual)
    assert torch.equal(loss, DualRegressionLoss(duals)([y0, y1, y2], [t0, t1, t2])) == (weight == 0.1)


def test_dual_regression_with_another_criterion() -> None:
    duals, outputs, targets = dual_example()
    loss = DualRegressionLoss(duals, weight=1, criterion=nn.MSELoss())(outputs, targets)
    pairs = [
        *zip(outputs, targets, strict=True),
        (duals[0](outputs[1]), targets[0]),
        (duals[1](outputs[2]), targets[1]),
    ]
    torch.testing.assert_close(loss, sum(F.mse_loss(a, b) for a, b in pairs))


def test_dual_regression_makes_targets_of_hr() -> None:
    duals, outputs, _ = dual_example()
    hr = torch.rand(1, 3, 12, 12)
    loss = DualRegressionLoss(duals)
    assert torch.equal(loss(outputs, hr), loss(outputs, targets_for(outputs, hr)))


def test_dual_regression_trains_duals_and_network() -> None:
    duals, outputs, targets = dual_example()
    loss = DualRegressionLoss(duals)
    assert set(loss.parameters()) == set(duals.parameters())
    loss(outputs, targets).backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in [*outputs, *duals.parameters()])
    # Perfect images leave the dual terms alone: their gradient goes to all images but the smallest.
    perfect = [target.clone().requires_grad_() for target in targets]
    smallest, *others = torch.autograd.grad(loss(perfect, targets), perfect)
    assert not smallest.any() and all(gradient.abs().sum() > 0 for gradient in others)


def test_dual_regression_counts_its_duals() -> None:
    duals, outputs, targets = dual_example()
    match = "2 outputs for 2 duals; give one output more than duals, coarsest first"
    with pytest.raises(ValueError, match=match):
        DualRegressionLoss(duals)(outputs[1:], targets[1:])


def test_a_dual_to_another_size_is_refused() -> None:
    _, outputs, targets = dual_example()
    match = r"duals\[0\]\(outputs\[1\]\) is \(1, 3, 6, 6\) but target 0 is \(1, 3, 3, 3\); give two of the same shape"
    with pytest.raises(ValueError, match=match):
        DualRegressionLoss(nn.ModuleList([nn.Identity(), nn.AvgPool2d(2)]))(outputs, targets)


def test_recursive_supervision_by_hand() -> None:
    hr = torch.zeros(GREY)
    outputs = [torch.full(GREY, value) for value in (1.0, 2.0, 4.0, 3.0)]
    # the recursions' mean square is (1 + 4 + 16) / 3 = 7, the result's is 9
    loss = RecursiveSupervisionLoss()
    assert loss(outputs, hr).item() == pytest.approx(7)
    for alpha, expected in ((1.0, 7), (0.0, 9), (0.25, 8.5)):
        loss.alpha = alpha
        assert loss(outputs, hr).item() == pytest.approx(expected)
    assert RecursiveSupervisionLoss(0.5)(outputs, hr).item() == pytest.approx(8)


def test_alpha_decays_from_one_to_zero() -> None:
    loss = RecursiveSupervisionLoss(0.3)
    found = []
    for epoch in (0, 1, 3, 4, 5):
        loss.decay(epoch, epochs=4)
        found.append(loss.alpha)
    assert found == [1, 0.75, 0.25, 0, 0]
    loss.decay(5)
    assert loss.alpha == pytest.approx(0.8)


@pytest.mark.parametrize(("epoch", "epochs"), [(-1, 25), (3, 0)])
def test_epochs_that_do_not_exist_are_refused(epoch: int, epochs: int) -> None:
    with pytest.raises(ValueError, match=f"epoch={epoch} of {epochs}; use epoch >= 0 and epochs >= 1"):
        RecursiveSupervisionLoss().decay(epoch, epochs=epochs)


@pytest.mark.parametrize("alpha", [-0.1, 1.5])
def test_alpha_outside_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match=f"alpha={alpha}; use 0 <= alpha <= 1"):
        RecursiveSupervisionLoss(alpha)([torch.rand(GREY)] * 2, torch.rand(GREY))


def test_recursive_supervision_needs_recursions() -> None:
    with pytest.raises(ValueError, match="1 output; give the images of the recursions and the result"):
        RecursiveSupervisionLoss()([torch.rand(GREY)], torch.rand(GREY))


# What all refuse

PAIRS = [CharbonnierLoss(), ContentLoss(nn.AdaptiveAvgPool2d(1)), TextureLoss(nn.Identity())]
LISTS = [SupervisedLoss(nn.L1Loss()), DualRegressionLoss(nn.ModuleList([nn.AvgPool2d(2)])), RecursiveSupervisionLoss()]


def named(losses: list[nn.Module]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("loss", losses, ids=lambda loss: type(loss).__name__)


@named(PAIRS)
@pytest.mark.parametrize("shape", [(1, 3, 4, 1), (1, 1, 4, 4), (3, 4, 4), (2, 3, 4, 4)])
def test_a_target_that_would_be_broadcast_is_refused(loss: nn.Module, shape: tuple[int, ...]) -> None:
    shown = str(shape).replace("(", r"\(").replace(")", r"\)")
    match = rf"{type(loss).__name__}: sr is \(1, 3, 4, 4\) but hr is {shown}; give two of the same shape"
    with pytest.raises(ValueError, match=match):
        loss(torch.rand(1, 3, 4, 4), torch.rand(shape))


@named(LISTS)
def test_one_tensor_is_no_list_of_outputs(loss: nn.Module) -> None:
    match = rf"{type(loss).__name__}: outputs is one tensor; give a list of images, such as net.supervised\(lr\)"
    with pytest.raises(TypeError, match=match):
        loss(torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4))


@named(LISTS[:2])
def test_lists_of_different_lengths_are_refused(loss: nn.Module) -> None:
    output = torch.rand(1, 3, 4, 4)
    for outputs, targets in (([output] * 2, [output]), ([output], [output] * 2), ([], [])):
        match = f"{type(loss).__name__}: {len(outputs)} outputs but {len(targets)} targets; give at least one output"
        with pytest.raises(ValueError, match=match):
            loss(outputs, targets)


@named(LISTS)
def test_an_output_of_another_shape_is_refused(loss: nn.Module) -> None:
    outputs = [torch.rand(1, 3, 4, 4), torch.rand(1, 3, 8, 1)]
    targets = torch.rand(1, 3, 4, 4) if isinstance(loss, RecursiveSupervisionLoss) else [outputs[0]] * 2
    match = r"output 1 is \(1, 3, 8, 1\) but its target is \(1, 3, 4, 4\); give two of the same shape"
    with pytest.raises(ValueError, match=match):
        loss(outputs, targets)


def test_another_number_of_output_weights_is_refused() -> None:
    loss = SupervisedLoss(nn.L1Loss(), weights=[1, 1, 1])
    with pytest.raises(ValueError, match="SupervisedLoss: 3 weights for 1 outputs; give one per output, or None"):
        loss([torch.rand(GREY)], torch.rand(GREY))


def test_losses_are_scalars_that_follow_the_images_type() -> None:
    sr, hr = images(9, 2, 3, 8, 8)
    assert all((y.shape, y.dtype) == ((), torch.float64) for y in (loss(sr, hr) for loss in PAIRS))
    assert TotalVariationLoss()(sr).shape == ()
    outputs = [F.avg_pool2d(sr, 2), sr]
    assert all(loss(outputs, hr).shape == () for loss in LISTS[:2])
    assert LISTS[2]([sr, sr], hr).shape == ()

"""DSRN: a recurrence of a low- and a high-resolution state that exchange features."""

from torch import Tensor, nn

from ..blocks import DualStateUnit, conv, normalization
from ..init import he_
from ..network import Network
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import DeconvUp, InterpolateUp
from ..upsampling.scale import prime_factors


class DSRN(Network):
    """DSRN: dual-state recurrent network.

    Han et al., *Image Super-Resolution via Dual-State Recurrent Networks*, CVPR 2018, arXiv:1805.02704, Fig. 4 and
    section 3.2. x2 follows the authors' published model. They published none for x3 and x4; the upsampler between
    the states is then a transposed convolution with stride 3, or two with stride 2.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper), 1 = Y.
        width: channels of both states; the first convolution has half as many.
        steps: number T of states, including the first (paper: 7).
        image_skip: add the bicubically upscaled input; the paper trains on the residual.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 2 (1
        without `image_skip`). 732,035 parameters at x2.

    Raises:
        ValueError: ``steps < 3``.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 3,
        width: int = 128,
        steps: int = 7,
        image_skip: bool = True,
        value_range: float = 1.0,
    ) -> None:
        if steps < 3:
            raise ValueError(f"DSRN: steps must be >= 3 for the states to exchange features, got {steps}")
        normalize, denormalize = normalization(image_channels, value_range)
        skip = InterpolateUp(image_channels, scale) if image_skip else None
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=skip.min_size if skip else 1,
            normalize=normalize,
            denormalize=denormalize,
        )
        ups = [DeconvUp(width, factor, kernel_size=factor) for factor in prime_factors(scale)]
        self.head = nn.Sequential(conv(image_channels, width // 2), nn.ReLU(), conv(width // 2, width), nn.ReLU())
        self.body = DualStateUnit(width, nn.Sequential(*ups), scale=scale)
        self.tail = conv(width, image_channels, 1)
        self.image_skip = skip
        self.steps = steps
        he_(self, mode="fan_in", transposed=True)

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the images ``lr``."""
        image = self.normalise(lr)
        low, high = self.body.first(self.head(image))
        total = high
        for _ in range(self.steps - 2):
            low, high = self.body(low, high)
            total = total + high
        sr = self.tail(total / (self.steps - 1))
        if self.image_skip is not None:
            sr = sr + self.image_skip(image)
        return self.denormalise(sr)

    def sequential_slots(self) -> list[list[str]]:
        """Return the slots that ``forward`` runs in sequence."""
        return [["normalise", "head"], ["tail", "denormalise"]] if self.image_skip is None else []


register(
    NetworkSpec(
        name="dsrn",
        build=DSRN,
        paper="Han et al., CVPR 2018, arXiv:1805.02704",
        framework_note="dual-state",
        size_requirements={scale: SizeRequirements(radius=12, min_size=2) for scale in (2, 3, 4)},
        reduced={"steps": 3},
    )
)

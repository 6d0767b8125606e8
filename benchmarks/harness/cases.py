"""What is measured of the rewrites, and what they have to gain."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from srblocks.network import Network

from .comparison import titled
from .parity import drawn

LAYOUT = "eager, then channels_last fp32"
"""Plain in the usual layout against optimized in channels_last."""

EXACT = ("eager fp32", "onnxruntime fp32", "OpenVINO fp32")
EVERY = ("eager fp32", "channels_last fp32", "onnxruntime fp32", "OpenVINO fp32", "OpenVINO bf16")
CUDA = tuple(
    f"{engine} {precision}" for engine in ("channels_last", "compile", "CUDA graph") for precision in ("fp32", "fp16")
)


@dataclass(frozen=True)
class Case:
    """A network at one scale on images of one size.

    Attributes:
        network: registry name.
        scale: enlargement per side.
        height: of the low-resolution images.
        width: of the low-resolution images.
        goals: engine -> how many times as quick the optimized network has to be.
        engines: the engines to run it in.
        config: constructor arguments beside the scale.
        quick: a part of the quick run.
    """

    network: str
    scale: int
    height: int
    width: int
    goals: Mapping[str, float] = field(default_factory=dict)
    engines: tuple[str, ...] = EXACT
    config: Mapping[str, object] = field(default_factory=dict)
    quick: bool = False

    @property
    def size(self) -> str:
        """Height and width of the input."""
        return f"{self.height}x{self.width}"

    @property
    def name(self) -> str:
        """How `--cases` calls it, from the left."""
        return f"{self.network}-x{self.scale}-{self.size}"

    @property
    def title(self) -> str:
        """The network, with what was changed of it."""
        return titled(self.network, self.config)

    def build(self) -> Network:
        """The plain network."""
        return drawn(self.network, self.scale, **self.config)


def _exact(least: float) -> dict[str, float]:
    return dict.fromkeys(EXACT, least)


def _edsr(scale: int, size: int, goals: Mapping[str, float], *, quick: bool = False) -> Case:
    return Case("edsr_baseline", scale, size, size, goals, EVERY, quick=quick)


CASES = (
    _edsr(4, 64, _exact(1.55) | {"OpenVINO bf16": 1.85}, quick=True),
    _edsr(4, 128, _exact(1.65) | {"OpenVINO bf16": 1.85}),
    _edsr(3, 64, _exact(1.25)),
    _edsr(3, 128, _exact(1.25)),
    _edsr(2, 64, _exact(1.12) | {"eager fp32": 1.08}, quick=True),
    _edsr(2, 128, _exact(1.12) | {"eager fp32": 1.08}),
    Case("rcan", 4, 64, 64, _exact(1.0)),
    Case("fsrcnn", 2, 256, 256, {LAYOUT: 1.9}, (*EVERY, LAYOUT), quick=True),
    Case("fsrcnn", 4, 128, 128, {LAYOUT: 3.0}, (*EVERY, LAYOUT), quick=True),
    Case("fsrcnn", 3, 128, 128, engines=(*EXACT, "channels_last fp32", LAYOUT)),
    Case("lapsrn", 2, 128, 128),
    Case("dbpn_s", 2, 128, 128),
    Case("srresnet", 4, 64, 64),
    Case("carn", 4, 64, 64),
    Case("rednet10", 2, 64, 64),
    Case("memnet", 2, 64, 64, config={"memories": 2, "recursions": 2}),
    Case("rdn", 2, 64, 64, config={"depth": 4}),
    Case("drn_s", 4, 32, 32),
)
CUDA_CASES = (
    Case("edsr_baseline", 4, 64, 64, engines=CUDA, quick=True),
    Case("edsr_baseline", 4, 128, 128, engines=CUDA),
    Case("edsr_baseline", 4, 180, 320, engines=CUDA),
    Case("edsr_baseline", 2, 360, 640, engines=CUDA),
    Case("fsrcnn", 2, 360, 640, engines=CUDA, quick=True),
    Case("fsrcnn", 4, 180, 320, engines=CUDA),
    Case("carn", 4, 180, 320, engines=CUDA),
    Case("rdn", 4, 180, 320, engines=CUDA),
    Case("rcan", 4, 180, 320, engines=CUDA),
)


@dataclass(frozen=True)
class MemoryCase:
    """A network at one scale, and how many times less memory its activations have to take on 256x256 pixels."""

    network: str
    scale: int
    goal: float | None = None

    @property
    def name(self) -> str:
        """How `--cases` calls it, from the left."""
        return f"{self.network}-x{self.scale}"


MEMORY_SIDE = 256
MEMORY = (
    MemoryCase("edsr_baseline", 2),
    MemoryCase("edsr_baseline", 4, 8.0),
    MemoryCase("rcan", 2),
    MemoryCase("rcan", 4, 6.0),
    MemoryCase("rdn", 2),
    MemoryCase("rdn", 4, 2.2),
    MemoryCase("memnet", 2, 4.0),
    MemoryCase("dbpn", 4),
    MemoryCase("srdensenet", 4),
    MemoryCase("carn", 4),
)

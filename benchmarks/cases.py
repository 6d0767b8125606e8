"""Cases of rewrites.py: networks, input sizes and backends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from parity import random_network
from srblocks.network import Network

LAYOUT = "channels_last vs. eager fp32"
"""The optimized network in channels_last against the original in the default memory format."""

EXACT = ("eager fp32", "onnxruntime fp32", "OpenVINO fp32")
ALL = ("eager fp32", "channels_last fp32", "onnxruntime fp32", "OpenVINO fp32", "OpenVINO bf16")
CUDA = tuple(
    f"{backend} {precision}" for backend in ("channels_last", "compile", "CUDA graph") for precision in ("fp32", "fp16")
)


@dataclass(frozen=True)
class Case:
    """A network at one scale on images of one size.

    Attributes:
        network: registry name.
        scale: upscaling factor.
        height: height of the low-resolution images.
        width: width of the low-resolution images.
        goals: backend label -> required speedup.
        backends: labels of the backends to run it in.
        config: constructor arguments besides the scale.
        quick: True if it belongs to the quick run.
    """

    network: str
    scale: int
    height: int
    width: int
    goals: Mapping[str, float] = field(default_factory=dict)
    backends: tuple[str, ...] = EXACT
    config: Mapping[str, object] = field(default_factory=dict)
    quick: bool = False

    @property
    def size(self) -> str:
        """Height and width of the input."""
        return f"{self.height}x{self.width}"

    @property
    def name(self) -> str:
        """Name for `--cases`, which matches prefixes."""
        return f"{self.network}-x{self.scale}-{self.size}"

    @property
    def title(self) -> str:
        """Network name with changed arguments."""
        return title(self.network, self.config)

    def build(self) -> Network:
        """Build the original network."""
        return random_network(self.network, self.scale, **self.config)


def title(network: str, config: Mapping[str, object]) -> str:
    """Return the network name with changed arguments, such as "rdn (depth=4)"."""
    changed = ", ".join(f"{key}={value}" for key, value in config.items())
    return f"{network} ({changed})" if changed else network


def _exact(speedup: float) -> dict[str, float]:
    return dict.fromkeys(EXACT, speedup)


def _edsr(scale: int, size: int, goals: Mapping[str, float], *, quick: bool = False) -> Case:
    return Case("edsr_baseline", scale, size, size, goals, ALL, quick=quick)


CASES = (
    _edsr(4, 64, _exact(1.55) | {"OpenVINO bf16": 1.85}, quick=True),
    _edsr(4, 128, _exact(1.65) | {"OpenVINO bf16": 1.85}),
    _edsr(3, 64, _exact(1.25)),
    _edsr(3, 128, _exact(1.25)),
    _edsr(2, 64, _exact(1.12) | {"eager fp32": 1.08}, quick=True),
    _edsr(2, 128, _exact(1.12) | {"eager fp32": 1.08}),
    Case("rcan", 4, 64, 64, _exact(1.0)),
    Case("fsrcnn", 2, 256, 256, {LAYOUT: 1.9}, (*ALL, LAYOUT), quick=True),
    Case("fsrcnn", 4, 128, 128, {LAYOUT: 3.0}, (*ALL, LAYOUT), quick=True),
    Case("fsrcnn", 3, 128, 128, backends=(*EXACT, "channels_last fp32", LAYOUT)),
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
    Case("edsr_baseline", 4, 64, 64, backends=CUDA, quick=True),
    Case("edsr_baseline", 4, 128, 128, backends=CUDA),
    Case("edsr_baseline", 4, 180, 320, backends=CUDA),
    Case("edsr_baseline", 2, 360, 640, backends=CUDA),
    Case("fsrcnn", 2, 360, 640, backends=CUDA, quick=True),
    Case("fsrcnn", 4, 180, 320, backends=CUDA),
    Case("carn", 4, 180, 320, backends=CUDA),
    Case("rdn", 4, 180, 320, backends=CUDA),
    Case("rcan", 4, 180, 320, backends=CUDA),
)

MEMORY_SIDE = 256
"""Side of the images of the memory comparison."""
MEMORY = (
    ("edsr_baseline", 2, None),
    ("edsr_baseline", 4, 8.0),
    ("rcan", 2, None),
    ("rcan", 4, 6.0),
    ("rdn", 2, None),
    ("rdn", 4, 2.2),
    ("memnet", 2, 4.0),
    ("dbpn", 4, None),
    ("srdensenet", 4, None),
    ("carn", 4, None),
)
"""Network, scale and required ratio of the peak activation memory."""


def selected(cases: Sequence[Case], names: Sequence[str] | None, *, quick: bool) -> list[Case]:
    """Return the cases whose names start with one of `names` (None: all), with `quick` only those of the quick run.

    Raises:
        SystemExit: no case is left.
    """
    found = [case for case in cases if (not names or case.name.startswith(tuple(names))) and (case.quick or not quick)]
    if not found:
        raise SystemExit(f"no case matches; available: {', '.join(case.name for case in cases)}")
    return found

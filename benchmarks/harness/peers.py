"""The same networks in other libraries: built, given the same weights, exported as their users export them."""

import importlib
import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from srblocks import load_checkpoint
from srblocks.network import Network
from srblocks.upsampling import InterpolateUp
from srblocks_export.formats import FORMATS
from srblocks_export.formats.quiet import ONNX_EXPORTER, quiet

from .cases import Case
from .engines import Subject
from .parity import give_unit_spread
from .standings import PARITY


class Port(Network):
    """Another library's module as a network that keeps its input.

    Args:
        net: for RGB images in [0, 1]; of its parameters the mean color is frozen.
        scale: enlargement per side.
        writes_input: the module writes into what it is given, so it is given a copy.
    """

    def __init__(self, net: nn.Module, *, scale: int, writes_input: bool = False) -> None:
        super().__init__(scale=scale, image_channels=3)
        self.net = net
        self.writes_input = writes_input
        for name, module in net.named_children():
            if name in ("sub_mean", "add_mean"):
                module.requires_grad_(False)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge the images ``lr``."""
        return self.net(lr.clone() if self.writes_input else lr)


class PortSubject(Subject):
    """A port; ONNX and TorchScript files of it are what torch's own exporters make."""

    def export(self, fmt: str) -> Path:
        """Write the file of a format."""
        if fmt not in ("onnx", "torchscript"):
            return super().export(fmt)
        self.folder.mkdir(parents=True, exist_ok=True)
        path, net = self.folder / f"port-{self.precision}{FORMATS[fmt].suffix}", self.module()
        with quiet(*ONNX_EXPORTER), torch.no_grad():
            if fmt == "onnx":
                torch.onnx.export(net, (self.lr,), path, dynamo=True, external_data=False, verbose=False)
            else:
                torch.jit.save(torch.jit.trace(net, self.lr, check_trace=False), path)
        return path


@dataclass(frozen=True)
class Peer:
    """A network of ours in another library.

    Attributes:
        network: our registry name.
        library: the Python package, by which pip knows it too.
        target: module and class.
        arguments: of its constructor beside the scale, at the size of our network.
        words: our name of an argument -> theirs, as far as they can be chosen.
        adjust: changes our network where theirs computes something else.
        writes_input: it writes into what it is given.
        remark: what to know when its figures are read.
    """

    network: str
    library: str
    target: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    adjust: Callable[[Network], None] | None = None
    writes_input: bool = False
    remark: str = ""

    @property
    def missing(self) -> str:
        """What would install it; empty where it is installed."""
        found = importlib.util.find_spec(self.library)
        return "" if found else f"{self.library} is not installed: pip install {self.library}"

    def port(self, scale: int, **config: object) -> Port:
        """Build it, with weights of its own; `config` in our words."""
        place, _, name = self.target.rpartition(".")
        arguments = {**self.arguments, **{self.words[key]: value for key, value in config.items()}}
        module = getattr(importlib.import_module(place), name)(scale=scale, **arguments)
        return Port(module, scale=scale, writes_input=self.writes_input).eval()

    def carried(self, port: Port) -> Network:
        """Our network with the weights of theirs, by way of a file."""
        with tempfile.TemporaryDirectory(prefix="srblocks-") as folder:
            path = Path(folder, "weights.pt")
            torch.save(port.net.state_dict(), path)
            net = load_checkpoint(path, network=self.network, scale=port.scale)
        if self.adjust:
            self.adjust(net)
        return net


def _enlarge_as_torch(net: Network) -> None:
    net.upsampler = InterpolateUp(net.image_channels, net.scale, a=-0.75, border="replicate")


_RCAN = {"n_resgroups": 10, "n_resblocks": 20, "n_feats": 64, "reduction": 16}
_GROUPS = {"groups": "n_resgroups", "blocks_per_group": "n_resblocks"}
PEERS = (
    Peer(
        "edsr_baseline",
        "torchsr",
        "torchsr.models.edsr.EDSR",
        {"n_resblocks": 16, "n_feats": 64, "res_scale": 1.0},
        {"depth": "n_resblocks"},
    ),
    Peer("rcan", "torchsr", "torchsr.models.rcan.RCAN", _RCAN, _GROUPS),
    Peer(
        "rcan",
        "spandrel",
        "spandrel.architectures.RCAN.RCAN",
        _RCAN,
        _GROUPS,
        writes_input=True,
        remark="spandrel's RCAN writes into its input, so every run of it copies the image first",
    ),
    Peer(
        "rdn",
        "torchsr",
        "torchsr.models.rdn.RDN",
        {"G0": 64, "D": 16, "C": 8, "G": 64},
        {"depth": "D", "layers": "C"},
    ),
    Peer("carn", "torchsr", "torchsr.models.carn.CARN"),
    Peer("carn_m", "torchsr", "torchsr.models.carn.CARNM"),
    Peer(
        "vdsr",
        "torchsr",
        "torchsr.models.vdsr.VDSR",
        {"n_resblocks": 20, "n_feats": 64, "pretrained": False},
        {"depth": "n_resblocks"},
        adjust=_enlarge_as_torch,
        remark="torchsr's VDSR enlarges as torch.nn.functional.interpolate does; here srblocks does so too",
    ),
)
"""All that the libraries have of our networks."""
LIBRARIES = tuple(dict.fromkeys(peer.library for peer in PEERS))

EAGER = "eager fp32"
COMPILE = "compile"
EXPORTED = ("TorchScript fp32", "onnxruntime fp32", "OpenVINO fp32", "OpenVINO bf16")
UNCOMPILED = (EAGER, "channels_last fp32", "channels_last bf16", *EXPORTED)
EVERY = (*UNCOMPILED, f"{COMPILE} fp32", f"{COMPILE} bf16")


def _goals(fp32: float, bf16: float, eager: float) -> dict[str, float]:
    return {"fp32": fp32, "bf16": bf16, "fp32 against eager": eager, "fp32 against eager, in PyTorch": eager}


_EDSR, _FSRCNN, _OTHERS = _goals(1.55, 1.85, 2.0), _goals(1.3, 1.3, 1.1), _goals(PARITY, PARITY, 1.1)
CASES = (
    Case("edsr_baseline", 4, 64, 64, _EDSR, EVERY, quick=True),
    Case("edsr_baseline", 4, 128, 128, _EDSR, EVERY),
    Case("edsr_baseline", 2, 64, 64, _OTHERS, EVERY),
    Case("carn", 4, 64, 64, _OTHERS, EVERY),
    Case("carn_m", 4, 64, 64, _OTHERS, EVERY),
    Case("rcan", 4, 64, 64, _OTHERS, UNCOMPILED),
    Case("rdn", 2, 64, 64, _OTHERS, EVERY),
    Case("vdsr", 2, 64, 64, _OTHERS, EVERY),
    Case("fsrcnn", 2, 256, 256, _FSRCNN, EVERY, quick=True),
    Case("fsrcnn", 4, 128, 128, _FSRCNN, EVERY),
    Case("espcn", 3, 128, 128, _OTHERS, EVERY),
)
REMARKS = {"rcan": "without torch.compile, which takes minutes for so many operations"}
"""What cases leave out, and why."""
NO_AMX = "goals in bf16 are what was reached on a processor with AMX; this processor has none"
"""What is said where a goal in bf16 is missed."""


def peers_of(network: str) -> list[Peer]:
    """The network in other libraries, installed or not."""
    return [peer for peer in PEERS if peer.network == network]


def same_weights(peers: Sequence[Peer], scale: int, **config: object) -> tuple[dict[str, Port], Network]:
    """Build a network in every library and in ours, with weights that show errors, always the same.

    Args:
        peers: of one network.
        scale: enlargement per side.
        config: further arguments, in our words.

    Returns:
        Library -> port, and our network.
    """
    torch.manual_seed(0)
    ports = {peer.library: peer.port(scale, **config) for peer in peers}
    first, *others = ports.values()
    give_unit_spread(first)
    for port in others:
        port.net.load_state_dict(first.net.state_dict())
    return ports, peers[0].carried(first)

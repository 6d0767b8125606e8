"""The same networks in other libraries: construction, shared weights, and export."""

import importlib
import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from backends import Workload
from cases import Case
from parity import set_unit_spread_weights
from srblocks import load_checkpoint
from srblocks.network import Network
from srblocks.upsampling import InterpolateUp
from srblocks_export.formats import FORMATS
from srblocks_export.formats.quiet import ONNX_EXPORTER, quiet


class PeerNetwork(Network):
    """A module of another library as a `Network` that does not modify its input.

    Args:
        net: a module for RGB images in [0, 1]; its mean color is frozen.
        scale: upscaling factor.
        writes_input: True if the module modifies its input; it then gets a copy.
    """

    def __init__(self, net: nn.Module, *, scale: int, writes_input: bool = False) -> None:
        super().__init__(scale=scale, image_channels=3)
        self.net = net
        self.writes_input = writes_input
        for name, module in net.named_children():
            if name in ("sub_mean", "add_mean"):
                module.requires_grad_(False)

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the images ``lr``."""
        return self.net(lr.clone() if self.writes_input else lr)


class PeerWorkload(Workload):
    """Workload of a peer, exported to ONNX and TorchScript by torch's own exporters."""

    def export(self, fmt: str) -> Path:
        """Export to a format and return the file."""
        if fmt not in ("onnx", "torchscript"):
            return super().export(fmt)
        self.folder.mkdir(parents=True, exist_ok=True)
        path, net = self.folder / f"peer-{self.precision}{FORMATS[fmt].suffix}", self.module()
        with quiet(*ONNX_EXPORTER), torch.no_grad():
            if fmt == "onnx":
                torch.onnx.export(net, (self.lr,), path, dynamo=True, external_data=False, verbose=False)
            else:
                torch.jit.save(torch.jit.trace(net, self.lr, check_trace=False), path)
        return path


@dataclass(frozen=True)
class Peer:
    """A registered network in another library.

    Attributes:
        network: registry name.
        library: Python package and its name on PyPI.
        target: qualified class name.
        arguments: constructor arguments besides the scale, for the size of our network.
        argument_names: our argument name -> theirs.
        adjust: changes our network to compute what theirs does.
        writes_input: True if it modifies its input.
        note: note to print under the results; empty for none.
    """

    network: str
    library: str
    target: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    argument_names: Mapping[str, str] = field(default_factory=dict)
    adjust: Callable[[Network], None] | None = None
    writes_input: bool = False
    note: str = ""

    @property
    def missing(self) -> str:
        """Install command; empty if the library is installed."""
        found = importlib.util.find_spec(self.library)
        return "" if found else f"{self.library} is not installed: pip install {self.library}"

    def build(self, scale: int, **config: object) -> PeerNetwork:
        """Build the network with its own initial weights; `config` has our argument names."""
        module_name, _, name = self.target.rpartition(".")
        arguments = {**self.arguments, **{self.argument_names[key]: value for key, value in config.items()}}
        module = getattr(importlib.import_module(module_name), name)(scale=scale, **arguments)
        return PeerNetwork(module, scale=scale, writes_input=self.writes_input).eval()

    def to_srblocks(self, peer: PeerNetwork) -> Network:
        """Load the weights of the peer into our network, through a file."""
        with tempfile.TemporaryDirectory(prefix="srblocks-") as folder:
            path = Path(folder, "weights.pt")
            torch.save(peer.net.state_dict(), path)
            net = load_checkpoint(path, network=self.network, scale=peer.scale)
        if self.adjust:
            self.adjust(net)
        return net


def _interpolate_like_torch(net: Network) -> None:
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
        note="spandrel's RCAN modifies its input, so every run copies the image first",
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
        adjust=_interpolate_like_torch,
        note="torchsr's VDSR upscales with torch.nn.functional.interpolate; so does srblocks in this comparison",
    ),
)
"""All networks that these libraries share with the registry."""
LIBRARIES = tuple(dict.fromkeys(peer.library for peer in PEERS))

EAGER = "eager fp32"
COMPILE = "compile"
EXPORTED = ("TorchScript fp32", "onnxruntime fp32", "OpenVINO fp32", "OpenVINO bf16")
UNCOMPILED = (EAGER, "channels_last fp32", "channels_last bf16", *EXPORTED)
ALL = (*UNCOMPILED, f"{COMPILE} fp32", f"{COMPILE} bf16")


def _goals(fp32: float, bf16: float, eager: float) -> dict[str, float]:
    return {"fp32": fp32, "bf16": bf16, "fp32 against eager": eager, "fp32 against eager, in PyTorch": eager}


_EDSR, _FSRCNN, _OTHERS = _goals(1.55, 1.85, 2.0), _goals(1.3, 1.3, 1.1), _goals(1.0, 1.0, 1.1)
CASES = (
    Case("edsr_baseline", 4, 64, 64, _EDSR, ALL, quick=True),
    Case("edsr_baseline", 4, 128, 128, _EDSR, ALL),
    Case("edsr_baseline", 2, 64, 64, _OTHERS, ALL),
    Case("carn", 4, 64, 64, _OTHERS, ALL),
    Case("carn_m", 4, 64, 64, _OTHERS, ALL),
    Case("rcan", 4, 64, 64, _OTHERS, UNCOMPILED),
    Case("rdn", 2, 64, 64, _OTHERS, ALL),
    Case("vdsr", 2, 64, 64, _OTHERS, ALL),
    Case("fsrcnn", 2, 256, 256, _FSRCNN, ALL, quick=True),
    Case("fsrcnn", 4, 128, 128, _FSRCNN, ALL),
    Case("espcn", 3, 128, 128, _OTHERS, ALL),
)
NOTES = {"rcan": "without torch.compile, which takes minutes for this many operations"}
"""Network -> note to print under the results."""


def peers_of(network: str) -> list[Peer]:
    """Return the network in other libraries, installed or not."""
    return [peer for peer in PEERS if peer.network == network]


def same_weights(peers: Sequence[Peer], scale: int, **config: object) -> tuple[dict[str, PeerNetwork], Network]:
    """Build a network in every library and in srblocks with the same fixed random weights.

    Args:
        peers: the peers of one network.
        scale: upscaling factor.
        config: further arguments, with our names.

    Returns:
        Library -> network, and our network.
    """
    torch.manual_seed(0)
    networks = {peer.library: peer.build(scale, **config) for peer in peers}
    first, *others = networks.values()
    set_unit_spread_weights(first)
    for other in others:
        other.net.load_state_dict(first.net.state_dict())
    return networks, peers[0].to_srblocks(first)

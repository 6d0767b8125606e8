"""What latency is measured of: networks, on images of a shape."""

import re
from dataclasses import dataclass

from srblocks.network import Network
from srblocks.networks import network_specs

NETWORKS = (
    *("fsrcnn-x2", "espcn-x3", "srcnn-x2", "vdsr-x2", "lapsrn-x4", "carn-x4", "srresnet-x4"),
    *("edsr_baseline-x4", "rdn-x4", "rcan-x4", "drn_s-x4"),
)
SHAPES = "1x64x64", "4x64x64", "1x270x480", "1x540x960"
QUICK = ("fsrcnn-x2", "1x270x480"), ("fsrcnn-x2", "4x64x64"), ("edsr_baseline-x4", "1x64x64")


@dataclass(frozen=True)
class Asked:
    """One network on images of one shape."""

    network: str
    scale: int
    batch: int
    height: int
    width: int

    @classmethod
    def named(cls, network: str, shape: str) -> "Asked":
        """From names such as "rcan-x4" and "1x270x480".

        Raises:
            SystemExit: there is no such network, scale or shape.
        """
        name, _, scale = network.rpartition("-x")
        specs = {spec.name: spec for spec in network_specs()}
        if name not in specs or not scale.isdecimal() or int(scale) not in specs[name].scales:
            known = ", ".join(f"{spec.name}-x{scale}" for spec in specs.values() for scale in spec.scales)
            raise SystemExit(f"unknown network {network!r}; known are {known}")
        if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", shape):
            raise SystemExit(f"{shape!r} is no shape; give batch x height x width, such as 1x270x480")
        return cls(name, int(scale), *map(int, shape.split("x")))

    @property
    def title(self) -> str:
        """Network, scale and input."""
        return f"{self.network} x{self.scale} on {self.batch}x{self.height}x{self.width}"

    def fits(self, net: Network) -> bool:
        """Whether the network takes such images."""
        sides = self.height, self.width
        return all(side >= net.min_size and side % net.size_multiple == 0 for side in sides)

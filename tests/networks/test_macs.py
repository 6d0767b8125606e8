"""Multiply-accumulates of the convolutions at 1280 x 720 against the figures measured on the authors' classes.

Unlike a parameter count, they tell at which resolution and how often each convolution runs.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from srblocks import create_network
from srblocks.network import Network

# Giga-MACs by scale, transposed convolutions at their true cost: weights times input pixels.
MEASURED = {
    "srcnn": {2: 52.7},
    "fsrcnn": {2: 2.9, 3: 1.3, 4: 0.7},
    "espcn": {2: 4.9, 3: 2.3, 4: 1.4},
    "vdsr": {2: 612.6},
    "drrn_b1u25": {2: 6796.9, 4: 6796.9},
    "srdensenet": {4: 257.0},
    "srresnet": {2: 332.2, 4: 127.8},
    "edsr_baseline": {2: 316.3, 3: 160.1, 4: 114.2},
    "edsr": {2: 9384.8, 3: 4469.5, 4: 2894.6},
    "mdsr": {2: 1497.8, 3: 684.4, 4: 409.6},
    "rdn": {2: 5096.2, 3: 2281.2, 4: 1309.2},
    "rdn_a": {2: 1276.2, 3: 576.2, 4: 328.1},
    "rcan": {2: 3526.8, 3: 1584.7, 4: 916.9},
    "drn_s": {4: 685.8, 8: 308.5},
    "drn_l": {4: 1402.8, 8: 571.3},
    "dbpn": {2: 1435.9, 4: 681.6, 8: 419.4},
    "carn": {2: 222.8, 3: 118.6, 4: 90.9},
    "carn_m": {2: 91.2, 3: 46.1, 4: 32.5},
    "prosr_l": {2: 2181.4, 4: 1456.7, 8: 850.8},
    "prosr_s": {2: 197.3, 4: 240.0, 8: 263.8},
}


def macs(net: Network) -> float:
    """Giga-MACs of all convolutions for the input of a 1280 x 720 output, counted on the meta device.

    All supervised images are counted, as the authors' classes give them.
    """
    side, total = 72, 0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        pixels = math.prod((inputs[0] if layer.transposed else output).shape[2:])
        total += layer.weight.numel() * pixels

    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(add)
    net.intermediate_outputs(torch.empty(1, net.image_channels, side, side, device="meta"))
    return total * (1280 // net.scale) * (720 // net.scale) / side**2 / 1e9


def build(name: str, scale: int, **arguments: object) -> Network:
    with torch.device("meta"):
        return create_network(name, scale=scale, **arguments).eval()


@pytest.mark.parametrize("name,scale", [(name, scale) for name, row in MEASURED.items() for scale in row])
def test_convolutions_run_as_often_as_the_authors(name: str, scale: int) -> None:
    assert macs(build(name, scale)) == pytest.approx(MEASURED[name][scale], rel=2e-4, abs=0.051)


def test_drcn_costs_what_is_published() -> None:
    """With the additive skip; a concatenation ahead of the last convolution would cost 17,974.4."""
    assert macs(build("drcn", 2)) == pytest.approx(17974.3, abs=0.05)


def test_memnet_costs_what_is_published() -> None:
    """The published figure counts the reconstruction once, not once per memory."""
    net = build("memnet", 2)
    again = (net.config["memories"] - 1) * net.tail.weight.numel() * 1280 * 720 / 1e9
    assert macs(net) - again == pytest.approx(2662.4, abs=0.06)

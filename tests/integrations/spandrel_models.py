"""What spandrel makes of files, and what it should."""

from pathlib import Path

import torch
from spandrel import MAIN_REGISTRY, ArchRegistry, ImageModelDescriptor
from torch import Tensor

from srblocks import Network, on_rgb, save_checkpoint
from srblocks.networks import network_spec


def saved(net: Network, folder: Path, **options: bool) -> Path:
    save_checkpoint(net, folder / "net.safetensors", **options)
    return folder / "net.safetensors"


def detected(state: dict[str, Tensor], registry: ArchRegistry = MAIN_REGISTRY) -> str | None:
    found = (each.architecture.id for each in registry.architectures("detection") if each.detect(state))
    return next(found, None)


def family(network: str) -> str:
    return f"srblocks-{network_spec(network).constructor[0].__name__.lower()}"


def images(net: Network, *, height: int = 12, width: int = 16) -> Tensor:
    return torch.rand(1, net.image_channels, height, width)


def assert_same(descriptor: ImageModelDescriptor, net: Network) -> None:
    whole = on_rgb(net)
    lr = images(whole)
    given = lr.clone()
    with torch.inference_mode():
        assert torch.equal(descriptor(lr), whole(lr).clamp(0, 1))
    assert torch.equal(lr, given)
    assert (descriptor.scale, descriptor.input_channels, descriptor.output_channels) == (net.scale, 3, 3)

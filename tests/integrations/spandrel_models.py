"""Load models with spandrel and compare them with networks. spandrel takes seconds to import: tests import it."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from srblocks import Network, on_rgb, save_checkpoint
from srblocks.networks import network_spec

if TYPE_CHECKING:
    from spandrel import ArchRegistry, ImageModelDescriptor


def load(path: Path) -> "ImageModelDescriptor":
    from spandrel import ModelLoader

    return ModelLoader().load_from_file(path)


def load_state(state: dict[str, Tensor]) -> "ImageModelDescriptor":
    from spandrel import ModelLoader

    return ModelLoader().load_from_state_dict(state)


def save(net: Network, folder: Path, **options: bool) -> Path:
    save_checkpoint(net, folder / "net.safetensors", **options)
    return folder / "net.safetensors"


def detect(state: dict[str, Tensor], registry: "ArchRegistry | None" = None) -> str | None:
    """Return the id of the architecture that spandrel detects; the default registry is spandrel's own."""
    from spandrel import MAIN_REGISTRY

    candidates = (registry or MAIN_REGISTRY).architectures("detection")
    return next((each.architecture.id for each in candidates if each.detect(state)), None)


def architecture_id(network: str) -> str:
    return f"srblocks-{network_spec(network).constructor[0].__name__.lower()}"


def random_image(net: Network) -> Tensor:
    side = -(-max(net.min_size, 8) // net.size_multiple) * net.size_multiple
    return torch.rand(1, net.image_channels, side, side + 2 * net.size_multiple)


def assert_same(descriptor: "ImageModelDescriptor", net: Network) -> None:
    """Assert that a model upscales RGB images as `net` does and leaves its input unchanged."""
    rgb = on_rgb(net)
    lr = random_image(rgb)
    before = lr.clone()
    with torch.inference_mode():
        assert torch.equal(descriptor(lr), rgb(lr).clamp(0, 1))
    assert torch.equal(lr, before)
    assert (descriptor.scale, descriptor.input_channels, descriptor.output_channels) == (net.scale, 3, 3)

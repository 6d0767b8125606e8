"""Networks on the Hugging Face Hub: ``config.json``, ``model.safetensors`` and a model card (``README.md``).

    from srblocks.integrations.hub import from_pretrained, push_to_hub, save_pretrained

    save_pretrained(net, "edsr")  # a folder
    push_to_hub(net, "me/edsr", license="mit")
    net = from_pretrained("me/edsr")  # or a folder

`srblocks.load_checkpoint` also reads the weights of registered networks.
"""

import contextlib
import inspect
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save

from .._utils.files import atomic_path
from ..checkpoints import CheckpointError, load_checkpoint, load_weights, save_checkpoint
from ..checkpoints.build import check_fit
from ..checkpoints.limits import check_memory, limited_construction
from ..checkpoints.renamed import current_arguments
from ..checkpoints.save import contiguous_tensors
from ..color import OnLuma, OnYCbCr, on_rgb
from ..errors import MissingLibraryError
from ..network import Network
from ..networks import network_name, network_spec

try:
    from huggingface_hub import HfApi, ModelCardData, snapshot_download
except ImportError as error:
    raise MissingLibraryError(
        "srblocks.integrations.hub requires huggingface_hub", 'pip install "srblocks[hub]"'
    ) from error

if TYPE_CHECKING:
    from typing_extensions import Self

PathLike = str | os.PathLike[str]

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"


def save_pretrained(net: Network, folder: PathLike, **card: Any) -> None:
    """Save a network to a folder in the layout of the Hub.

    Args:
        net: a registered network or a `HubMixin`, optionally wrapped in `OnLuma` or `OnYCbCr`.
        folder: created if missing. An existing model card is kept.
        card: metadata of the model card, such as ``license="mit"`` or ``datasets=["eugenesiu/Div2k"]``.

    Raises:
        ValueError: the configuration cannot rebuild the network: it is neither registered nor a `HubMixin`, some of its
            arguments are modules, or it comes from `srblocks.optimize`.
        OSError: the folder is not writable.

    Examples:
        >>> from srblocks import load_pretrained
        >>> folder = tempfile.mkdtemp()
        >>> save_pretrained(OnLuma(load_pretrained("fsrcnn", scale=2)), folder)
        >>> from_pretrained(folder)(torch.rand(1, 3, 8, 9)).shape
        torch.Size([1, 3, 16, 18])
    """
    _save(net, Path(folder), Path(folder).absolute().name, card)


def push_to_hub(
    net: Network,
    repository: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    message: str = "Upload weights",
    **card: Any,
) -> str:
    """Upload a network to a Hub repository, creating the repository if needed.

    Args:
        net: see `save_pretrained`.
        repository: ``user/name``. An existing model card is kept.
        private: make a new repository private; None for the account's default.
        token: access token; None uses the one stored by ``hf auth login``.
        message: commit message.
        card: metadata of a new model card, see `save_pretrained`.

    Returns:
        The URL of the commit.

    Raises:
        ValueError: see `save_pretrained`. Errors of huggingface_hub are passed on.
    """
    with tempfile.TemporaryDirectory() as folder:
        _save(net, Path(folder), repository, card)
        api = HfApi(token=token)
        found = api.create_repo(repository, private=private, exist_ok=True).repo_id
        kept = [CARD] if api.file_exists(found, CARD) else []
        return api.upload_folder(
            repo_id=found, folder_path=folder, commit_message=message, ignore_patterns=kept
        ).commit_url


def from_pretrained(name: PathLike, *, scale: int | None = None, **download: Any) -> Network:
    """Load a registered network from a folder or a Hub repository, in eval mode.

    Args:
        name: a folder, or ``user/name`` on the Hub.
        scale: upscaling factor, see `srblocks.load_checkpoint`; None for that of the file.
        download: ``revision``, ``token``, ``cache_dir``, ``force_download`` and ``local_files_only``,
            see ``huggingface_hub.snapshot_download``.

    Raises:
        CheckpointError: the files are corrupt, were not written by srblocks, or contradict each other.
        UnknownNetworkError: the configuration names a network that is not registered.
        OSError: a file is missing or unreadable. Errors of huggingface_hub are passed on.
    """
    described, weights = _fetched(name, **download)
    network = described["network"]
    if network is None:
        raise CheckpointError(
            f"{name}: {described['class']} is not a registered network", f"use {described['class']}.from_pretrained"
        )
    config = current_arguments(described["config"], network_spec(network).arguments())
    try:
        serves = config.get("scales") or [config.get("scale")]
        if scale is None and len(serves) == 1:
            scale = serves[0]
        config = {key: value for key, value in config.items() if key != "scale"}
        net = load_checkpoint(weights, network=network, scale=scale, **config)
    except TypeError as error:
        raise CheckpointError(f"{name}: {CONFIG} does not fit {network} ({error})") from error
    color, allowed = described["color"], [net.color, "rgb"] if net.color in ("y", "ycbcr") else [net.color]
    if color not in allowed:
        raise CheckpointError(
            f"{name}: {CONFIG} has color={color!r}, but the network works on {net.color}",
            f"set it to {' or '.join(allowed)}",
        )
    return on_rgb(net) if color == "rgb" else net


class HubMixin(Network):
    """Mixin that adds ``save_pretrained``, ``push_to_hub`` and ``from_pretrained`` to a custom network class.

    Use it as ``class MyNetwork(HubMixin, PostUpsampling)``. The constructor arguments are the configuration: numbers,
    strings, None and lists of these. Registered networks do not need the mixin; use the functions of this module.

    Examples:
        >>> from srblocks import EDSR
        >>> class MyNetwork(HubMixin, EDSR):
        ...     pass
        >>> folder = tempfile.mkdtemp()
        >>> MyNetwork(scale=3, depth=1, width=8).save_pretrained(folder)
        >>> MyNetwork.from_pretrained(folder).config["width"]
        8
    """

    def save_pretrained(self, folder: PathLike, **card: Any) -> None:
        """Save the network to a folder, see the function `save_pretrained`."""
        save_pretrained(self, folder, **card)

    def push_to_hub(self, repository: str, **arguments: Any) -> str:
        """Upload the network, see the function `push_to_hub`."""
        return push_to_hub(self, repository, **arguments)

    @classmethod
    def from_pretrained(cls, name: PathLike, **download: Any) -> "Self":
        """Load a network of this class from a folder or a Hub repository, in eval mode.

        Args:
            name: a folder, or ``user/name`` on the Hub.
            download: see the function `from_pretrained`.

        Raises:
            CheckpointError: the files are corrupt, were not written by srblocks, or belong to another class.
        """
        described, weights = _fetched(name, **download)
        try:
            with limited_construction(described["config"]), torch.device("meta"):
                plan = cls(**described["config"])
            check_memory(plan, weights)
            net = cls(**described["config"])
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise CheckpointError(f"{name}: cannot build {cls.__name__} for these weights ({error})") from error
        load_weights(net, weights)
        return net.eval()


def _save(net: Network, folder: Path, title: str, entries: dict[str, Any]) -> None:
    inner = net
    while isinstance(inner, (OnLuma, OnYCbCr)):
        inner = inner.net
    network = _registered_name(inner)
    described = {"network": network, "class": type(inner).__name__, "config": inner.config, "color": net.color}
    folder.mkdir(parents=True, exist_ok=True)
    if network is not None:
        save_checkpoint(inner, folder / WEIGHTS)
    else:
        with atomic_path(folder / WEIGHTS) as temporary:
            temporary.write_bytes(save(contiguous_tensors(inner)))  # save_file hides the OS error
    with atomic_path(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if not (folder / CARD).exists():
        with atomic_path(folder / CARD) as temporary:
            temporary.write_text(_card(net, network, type(inner).__name__, title, entries), encoding="utf-8")


def _registered_name(net: Network) -> str | None:
    """Return the registry name, or None for an unregistered `HubMixin` class.

    Raises:
        ValueError: the configuration cannot rebuild the network.
    """
    try:
        return network_name(net)
    except ValueError:
        if not isinstance(net, HubMixin):
            raise
    kind = type(net).__name__
    if net.rewrites is not None:
        raise ValueError(f"{kind}: an optimized network cannot be saved; save the original network")
    try:
        with torch.device("meta"):
            again = type(net)(**net.config)
    except TypeError as error:
        raise ValueError(f"{kind}: constructor arguments must be numbers, strings or lists ({error})") from error
    check_fit(again, net.state_dict(), f"{kind}(**config)")
    return None


def _card(net: Network, network: str | None, kind: str, title: str, entries: dict[str, Any]) -> str:
    head: dict[str, Any] = {"library_name": "srblocks", "pipeline_tag": "image-to-image", "tags": ["super-resolution"]}
    channels, scale = net.image_channels, net.scale
    text = f"Super-resolution of {net.color} images, `(N, {channels}, H, W) -> (N, {channels}, {scale} H, {scale} W)`, "
    code = f'net = {kind}.from_pretrained("{title}")'
    if network is not None:
        text = f"{network_spec(network).paper}. {text}"
        code = f'from srblocks.integrations.hub import from_pretrained\n\nnet = from_pretrained("{title}")'
    return f"""---
{ModelCardData(**{**head, **entries}).to_yaml()}
---

# {network or kind}, {", ".join(f"x{each}" for each in net.scales)}

{text}with values in [0, 1].

```python
{code}
```
"""


def _fetched(name: PathLike, **download: Any) -> tuple[dict[str, Any], Path]:
    """Return the configuration and the weights file of a folder or Hub repository."""
    inspect.signature(snapshot_download).bind(str(name), **download)
    folder = Path(name)
    if not folder.is_dir():
        folder = Path(snapshot_download(str(name), allow_patterns=[CONFIG, WEIGHTS], **download))
    described: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        described = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if (
        not isinstance(described, dict)
        or not {"network", "class", "color"} <= described.keys()
        or not isinstance(described.get("config"), dict)
    ):
        raise CheckpointError(f"{name}: {CONFIG} was not written by srblocks", "use save_pretrained")
    return described, folder / WEIGHTS

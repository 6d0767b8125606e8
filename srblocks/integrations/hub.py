"""Networks on the Hugging Face hub: ``config.json``, ``model.safetensors`` and a card, ``README.md``.

    from srblocks.integrations.hub import from_pretrained, push_to_hub, save_pretrained

    save_pretrained(net, "edsr")  # a folder
    push_to_hub(net, "me/edsr", license="mit")
    net = from_pretrained("me/edsr")  # or a folder

`srblocks.load_checkpoint` reads the weights of networks of the registry as well.
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
from ..checkpoints.fill import check_fit
from ..checkpoints.limits import bounded_construction, check_arguments, check_memory
from ..checkpoints.save import savable_tensors
from ..color import OnLuma, OnYCbCr, on_rgb
from ..network import Network
from ..networks import network_name, network_spec

try:
    from huggingface_hub import HfApi, ModelCardData, snapshot_download
except ImportError as error:
    raise ImportError('srblocks.integrations.hub needs huggingface_hub; pip install "srblocks[hub]"') from error

if TYPE_CHECKING:
    from typing_extensions import Self

PathLike = str | os.PathLike[str]

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"


def save_pretrained(net: Network, folder: PathLike, **card: Any) -> None:
    """Write a network into a folder as the hub keeps it.

    Args:
        net: a network of the registry or a `HubMixin`; also inside `OnLuma` or `OnYCbCr`.
        folder: made where it is missing. A card that it has already stays as it is.
        card: entries for the head of the card, such as ``license="mit"`` or ``datasets=["eugenesiu/Div2k"]``.

    Raises:
        ValueError: the configuration does not build the network again: it is in no registry row and no `HubMixin`,
            modules are among its arguments, or `srblocks.optimize` made it.
        OSError: the folder cannot be written.

    Example:
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
    """Upload a network into a repository of the hub, which is made where it is missing.

    Args:
        net: as in `save_pretrained`.
        repository: its name, ``user/name``. A card that it has already stays as it is.
        private: whether a new repository is; None for the account's default.
        token: of the account; None for that of ``hf auth login``.
        message: of the commit.
        card: entries for the head of a new card, see `save_pretrained`.

    Returns:
        The address of the commit.

    Raises:
        ValueError: see `save_pretrained`; the errors of huggingface_hub when the upload fails.
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
    """Build the network of the registry that a folder or a repository of the hub holds, in eval mode.

    Args:
        name: a folder, or ``user/name`` on the hub.
        scale: enlargement per side, as in `srblocks.load_checkpoint`; None for that of the file.
        download: ``revision``, ``token``, ``cache_dir``, ``force_download`` and ``local_files_only``, as
            huggingface_hub has them.

    Raises:
        CheckpointError: the files are corrupt, foreign, or contradict each other.
        UnknownNetworkError: the configuration names no network that is registered here.
        OSError: a file is missing or cannot be read; huggingface_hub's errors where the download fails.
    """
    described, weights = _fetched(name, **download)
    network, config = described["network"], described["config"]
    if network is None:
        raise CheckpointError(
            f"{name}: a {described['class']}, in no row of the registry; load it by that class's own from_pretrained"
        )
    try:
        serves = config.get("scales") or [config.get("scale")]
        if scale is None and len(serves) == 1:
            scale = serves[0]
        config = {key: value for key, value in config.items() if key != "scale"}
        net = load_checkpoint(weights, network=network, scale=scale, **config)
    except TypeError as error:
        raise CheckpointError(f"{name}: its {CONFIG} is none of {network} ({error})") from error
    color, allowed = described["color"], [net.color, "rgb"] if net.color in ("y", "ycbcr") else [net.color]
    if color not in allowed:
        use = " or ".join(allowed)
        raise CheckpointError(f"{name}: its {CONFIG} has color={color!r} for a network on {net.color}; write {use}")
    return on_rgb(net) if color == "rgb" else net


class HubMixin(Network):
    """Gives a network class of your own ``save_pretrained``, ``push_to_hub`` and ``from_pretrained``.

    Write ``class MyNetwork(HubMixin, PostUpsampling)``. The constructor's arguments are the configuration: numbers,
    strings, None and lists of them. A class in the registry needs no mixin: the functions of this module take it.

    Example:
        >>> from srblocks import EDSR
        >>> class MyNetwork(HubMixin, EDSR):
        ...     pass
        >>> folder = tempfile.mkdtemp()
        >>> MyNetwork(scale=3, depth=1, width=8).save_pretrained(folder)
        >>> MyNetwork.from_pretrained(folder).config["width"]
        8
    """

    def save_pretrained(self, folder: PathLike, **card: Any) -> None:
        """Write the network into a folder, see the function `save_pretrained`."""
        save_pretrained(self, folder, **card)

    def push_to_hub(self, repository: str, **arguments: Any) -> str:
        """Upload the network, see the function `push_to_hub`."""
        return push_to_hub(self, repository, **arguments)

    @classmethod
    def from_pretrained(cls, name: PathLike, **download: Any) -> "Self":
        """Build a network of this class from a folder or a repository of the hub, in eval mode.

        Args:
            name: a folder, or ``user/name`` on the hub.
            download: see the function `from_pretrained`.

        Raises:
            CheckpointError: the files are corrupt, foreign, or of a network that this class does not build.
        """
        described, weights = _fetched(name, **download)
        try:
            check_arguments(described["config"])
            with torch.device("meta"), bounded_construction():
                plan = cls(**described["config"])
            check_memory(plan, weights)
            net = cls(**described["config"])
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise CheckpointError(f"{name}: {cls.__name__} cannot be built for these weights ({error})") from error
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
            temporary.write_bytes(save(savable_tensors(inner)))  # save_file hides why a file cannot be written
    with atomic_path(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if not (folder / CARD).exists():
        with atomic_path(folder / CARD) as temporary:
            temporary.write_text(_card(net, network, type(inner).__name__, title, entries), encoding="utf-8")


def _registered_name(net: Network) -> str | None:
    """Give the registry name; None for a mixin's class that is in no row.

    Raises:
        ValueError: the configuration does not build the network again.
    """
    try:
        return network_name(net)
    except ValueError:
        if not isinstance(net, HubMixin):
            raise
    kind = type(net).__name__
    if net.rewrites is not None:
        raise ValueError(f"{kind}: an optimized network has no configuration; save the one it was made from")
    try:
        with torch.device("meta"):
            again = type(net)(**net.config)
    except TypeError as error:
        raise ValueError(f"{kind}: give its constructor numbers, strings and lists alone ({error})") from error
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

{text}values in [0, 1] in and out.

```python
{code}
```
"""


def _fetched(name: PathLike, **download: Any) -> tuple[dict[str, Any], Path]:
    """Give the configuration and the weights file of a folder or a repository."""
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
        raise CheckpointError(f"{name}: its {CONFIG} is none of srblocks; write it with save_pretrained")
    return described, folder / WEIGHTS

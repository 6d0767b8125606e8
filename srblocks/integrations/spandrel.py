"""spandrel, and the programs that load models through it (chaiNNer, ComfyUI, ...), with the networks of this package.

    from srblocks.integrations.spandrel import install

    install()
    upscale = ModelLoader().load_from_file("fsrcnn_x2.safetensors")  # spandrel's own loader

Afterwards spandrel loads what `srblocks.save_checkpoint` wrote, the bundled weights, and other people's weights in the
layouts that `srblocks.load_checkpoint` knows, in files that spandrel takes (no .mat). What spandrel loads by itself it
loads as before.

Programs that read files themselves and give spandrel the tensors alone (ComfyUI) lose the configuration in them: write
such files with ``save_checkpoint(net, path, as_tensor=True)``.
"""

import contextlib
import functools
import json
import pickle
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from ..checkpoints import CheckpointError, UnseenArgumentError, WrongScaleError
from ..checkpoints.build import has_our_names
from ..checkpoints.containers import (
    CONFIG_TENSOR,
    METADATA_KEY,
    Contents,
    configuration_in,
    configuration_tensor,
    contents_of,
    read_contents,
)
from ..checkpoints.load import network_of, whole_scale
from ..checkpoints.matching import is_layout_of
from ..color import on_rgb
from ..network import Network
from ..networks import network_name, network_spec, network_specs
from ..precision.measured import LIMITED_IN_BF16, MEASURED_IN_FP16
from ..registry import NetworkSpec

try:
    from spandrel import (
        MAIN_REGISTRY,
        Architecture,
        ArchRegistry,
        ArchSupport,
        ImageModelDescriptor,
        ModelLoader,
        ModelTiling,
        SizeRequirements,
        StateDict,
    )
except ImportError as error:
    raise ImportError('srblocks.integrations.spandrel needs spandrel; pip install "srblocks[spandrel]"') from error

_STATE_DICT = "state dict"
_PUBLISHED_PRE_SCALE = 2
_PUBLISHED_MULTI_SCALE = 4
_MARK = "_srblocks_reads_files"


class SRBlocksArchitecture(Architecture[Network]):
    """One class of networks of our registry, with all its variants, as spandrel's registry holds it.

    Args:
        name: of the class.
        registry: the registry that it is added to.
        scale: see `install`.
        rgb: see `install`.
    """

    def __init__(self, name: str, registry: ArchRegistry, *, scale: int | None, rgb: bool) -> None:
        super().__init__(id=_id(name), name=name, detect=self._is_mine)
        self.registry = registry
        self.scale = scale
        self.rgb = rgb

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[Network]:
        """Build the network of a state dict, with its weights.

        Raises:
            CheckpointError: the state dict is broken; as its subclass `UnseenArgumentError`, it does not show all
                arguments.
        """
        net = self._network(contents_of(state_dict, _STATE_DICT)).float()
        name, value_range = network_name(net), float(net.config.get("value_range", 1.0))
        width, size_requirements = net.config.get("width"), network_spec(name).size_requirements.values()
        shown = on_rgb(net) if self.rgb and net.color in ("y", "ycbcr") else net
        return ImageModelDescriptor(
            shown,
            shown.state_dict(),
            architecture=self,
            purpose="Restoration" if net.scale == 1 else "SR",
            tags=[name] if width is None else [name, f"{width}nf"],
            supports_half=value_range <= MEASURED_IN_FP16.get(self.name, 0.0),
            supports_bfloat16=value_range <= LIMITED_IN_BF16.get(self.name, value_range),
            scale=net.scale,
            input_channels=shown.image_channels,
            output_channels=shown.image_channels,
            size_requirements=SizeRequirements(minimum=shown.min_size, multiple_of=shown.size_multiple),
            tiling=ModelTiling.DISCOURAGED
            if any(row.radius is None for row in size_requirements)
            else ModelTiling.SUPPORTED,
        )

    def _is_mine(self, state: StateDict) -> bool:
        """Tell the weights of this class by their configuration or names; names that others claim are left to them."""
        if not state or not all(isinstance(value, Tensor) for value in state.values()):
            return False
        if CONFIG_TENSOR in state:
            name = configuration_in(state[CONFIG_TENSOR], _STATE_DICT).get("network")
            known = [spec.name for spec in network_specs()]
            return name in self._rows() if name in known else True  # whoever loads it says what is wrong with it
        if self._row_with_names_of(state):
            return True
        classes = {spec.constructor[0] for spec in self._rows().values()}
        return any(is_layout_of(state, each) for each in classes) and not any(
            other.detect(state) for other in self.registry if not isinstance(other.architecture, SRBlocksArchitecture)
        )

    def _rows(self) -> dict[str, NetworkSpec]:
        return {spec.name: spec for spec in network_specs() if _name(spec) == self.name}

    def _row_with_names_of(self, tensors: Any) -> str | None:
        found = [name for name, spec in self._rows().items() if has_our_names(spec, tensors)]
        return found[0] if len(found) == 1 else None

    def _network(self, contents: Contents) -> Network:
        """Build the network at the scale wanted where it serves that, else at its own, else as it was published."""
        row = None if contents.metadata else self._row_with_names_of(contents.tensors)
        enlarges_first = any(spec.framework == "pre" for spec in self._rows().values())
        published = _PUBLISHED_PRE_SCALE if enlarges_first and not contents.metadata else None
        build = functools.partial(network_of, contents, _STATE_DICT, network=row, config={})
        try:
            try:
                net = build(scale=self.scale or published)
            except WrongScaleError:
                net = build(scale=published)
        except UnseenArgumentError as error:
            raise UnseenArgumentError(
                f"{error} to srblocks.load_checkpoint, write its network with srblocks.save_checkpoint, and load that "
                "file instead; a scale can also be given to install"
            ) from error
        if not contents.metadata and len(net.config.get("scales", ())) > 1:
            net = net.at_scale(_PUBLISHED_MULTI_SCALE if _PUBLISHED_MULTI_SCALE in net.scales else max(net.scales))
        return net


def install(registry: ArchRegistry = MAIN_REGISTRY, *, scale: int | None = None, rgb: bool = True) -> None:
    """Teach spandrel all networks of the registry; called again, change the options and add what is new there.

    Args:
        registry: where the networks are added; spandrel's main one serves every `ModelLoader()`.
        scale: the enlargement wanted of weights that serve several. None for the file's own; where it shows none, x2
            for networks that enlarge first (VDSR, ...) and x4 of several branches (CARN, MDSR, ...). Weights for
            another scale alone keep theirs.
        rgb: networks on luma or YCbCr take and give RGB images, which is what programs hand over; False leaves them as
            they are, with one channel of luma.

    Raises:
        ValueError: `scale` is no enlargement.

    Example:
        >>> registry = ArchRegistry()
        >>> install(registry)
        >>> registry["srblocks-edsr"].architecture.name
        'EDSR'
    """
    scale = None if scale is None else whole_scale(scale, "install")
    others = tuple(each.architecture.id for each in registry if not isinstance(each.architecture, SRBlocksArchitecture))
    for name in dict.fromkeys(_name(spec) for spec in network_specs()):
        there = registry.get(_id(name))
        if there is None:
            ours = SRBlocksArchitecture(name, registry, scale=scale, rgb=rgb)
            registry.add(ArchSupport.from_architecture(ours, before=others))
        elif isinstance(there.architecture, SRBlocksArchitecture):
            there.architecture.scale, there.architecture.rgb = scale, rgb
    _extend_loader()


def _extend_loader() -> None:
    """Let spandrel's loader read what we know of what it refuses, and hand on our configurations, as one more tensor.

    It drops metadata, and its unpickler refuses what torch.save wrote years ago; ``weights_only=True`` reads that.
    """
    original = ModelLoader.load_state_dict_from_file
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def load_state_dict_from_file(self: ModelLoader, path: str | Path) -> StateDict:
        ours = [each for each in self.registry if isinstance(each.architecture, SRBlocksArchitecture)]
        try:
            state = original(self, path)
        except (pickle.UnpicklingError, RuntimeError):  # RuntimeError: what it takes for TorchScript, by the suffix .pt
            state = _read(Path(path)) if ours else {}
            if not any(each.detect(state) for each in ours):
                raise
            return {name: tensor.to(self.device) for name, tensor in state.items()}
        recorded = _recorded(Path(path)) if ours else None
        return {**state, CONFIG_TENSOR: configuration_tensor(recorded)} if recorded else state

    setattr(load_state_dict_from_file, _MARK, True)
    ModelLoader.load_state_dict_from_file = load_state_dict_from_file


def _read(path: Path) -> StateDict:
    """Read a file as `srblocks.load_checkpoint` does; nothing where that refuses it."""
    with contextlib.suppress(CheckpointError):
        contents = read_contents(path)
        recorded = {CONFIG_TENSOR: configuration_tensor(json.dumps(contents.metadata))} if contents.metadata else {}
        return {**contents.tensors, **recorded}
    return {}


def _recorded(path: Path) -> str | None:
    if path.suffix.lower() != ".safetensors":
        return None
    with safe_open(path, framework="pt") as file:
        return (file.metadata() or {}).get(METADATA_KEY)


def _name(spec: NetworkSpec) -> str:
    build = spec.constructor[0]
    return getattr(build, "__name__", type(build).__name__)


def _id(name: str) -> str:
    return f"srblocks-{name.lower()}"

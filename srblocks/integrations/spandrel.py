"""spandrel integration: load the networks of this package in spandrel, chaiNNer, ComfyUI and other programs.

    from srblocks.integrations.spandrel import install

    install()
    upscale = ModelLoader().load_from_file("fsrcnn_x2.safetensors")  # spandrel's own loader

spandrel then loads files of `srblocks.save_checkpoint`, the bundled weights, and third-party checkpoints in any layout
that `srblocks.load_checkpoint` knows, except .mat files. Models that spandrel supports itself load as before.

Programs that read the file themselves and pass only the tensors to spandrel (ComfyUI) drop the stored configuration.
Save files for them with ``save_checkpoint(net, path, as_tensor=True)``.
"""

import contextlib
import functools
import json
import pickle
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from ..checkpoints import CheckpointError, MissingArgumentError, WrongScaleError
from ..checkpoints.containers import (
    CONFIG_TENSOR,
    METADATA_KEY,
    Contents,
    configuration_in,
    configuration_tensor,
    contents_of,
    read_contents,
)
from ..checkpoints.load import build_from_contents, check_scale
from ..checkpoints.matching import has_layout_of
from ..checkpoints.own_names import has_own_names
from ..color import on_rgb
from ..errors import MissingLibraryError
from ..network import Network
from ..networks import network_name, network_specs
from ..precision.measured import LIMITED_IN_BF16, MEASURED_IN_FP16
from ..registry import NetworkSpec
from ..tiling import receptive_radius

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
    raise MissingLibraryError(
        "srblocks.integrations.spandrel requires spandrel", 'pip install "srblocks[spandrel]"'
    ) from error

_STATE_DICT = "state dict"
_PUBLISHED_PRE_SCALE = 2
_PUBLISHED_MULTI_SCALE = 4
_MARK = "_srblocks_reads_files"


class SRBlocksArchitecture(Architecture[Network]):
    """spandrel architecture of one network class with all its registered variants.

    Args:
        name: name of the network class.
        registry: the spandrel registry that it is added to.
        scale: see `install`.
        rgb: see `install`.
    """

    def __init__(self, name: str, registry: ArchRegistry, *, scale: int | None, rgb: bool) -> None:
        super().__init__(id=_id(name), name=name, detect=self._is_mine)
        self.registry = registry
        self.scale = scale
        self.rgb = rgb

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[Network]:
        """Build the network of a state dict and load its weights.

        Raises:
            CheckpointError: the state dict is invalid. Its subclass `MissingArgumentError`: some constructor arguments
                cannot be derived from it.
        """
        net = self._network(contents_of(state_dict, _STATE_DICT)).float()
        name, value_range = network_name(net), float(net.config.get("value_range", 1.0))
        width = net.config.get("width")
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
            tiling=ModelTiling.DISCOURAGED if receptive_radius(net) is None else ModelTiling.SUPPORTED,
        )

    def _is_mine(self, state: StateDict) -> bool:
        """Detect this class by stored configuration or tensor names; names that spandrel knows are left to spandrel."""
        if not state or not all(isinstance(value, Tensor) for value in state.values()):
            return False
        if CONFIG_TENSOR in state:
            name = configuration_in(state[CONFIG_TENSOR], _STATE_DICT).get("network")
            known = [spec.name for spec in network_specs()]
            return name in self._specs() if name in known else True  # loading reports the error
        if self._spec_with_names_of(state):
            return True
        classes = {spec.constructor[0] for spec in self._specs().values()}
        return any(has_layout_of(state, each) for each in classes) and not any(
            other.detect(state) for other in self.registry if not isinstance(other.architecture, SRBlocksArchitecture)
        )

    def _specs(self) -> dict[str, NetworkSpec]:
        return {spec.name: spec for spec in network_specs() if _name(spec) == self.name}

    def _spec_with_names_of(self, tensors: Any) -> str | None:
        found = [name for name, spec in self._specs().items() if has_own_names(spec, tensors)]
        return found[0] if len(found) == 1 else None

    def _network(self, contents: Contents) -> Network:
        """Build the network at the requested scale if possible, else at its own, else at the published one."""
        name = None if contents.metadata else self._spec_with_names_of(contents.tensors)
        pre_upsampling = any(spec.framework == "pre" for spec in self._specs().values())
        published = _PUBLISHED_PRE_SCALE if pre_upsampling and not contents.metadata else None
        build = functools.partial(build_from_contents, contents, _STATE_DICT, network=name, config={})
        try:
            try:
                net = build(scale=self.scale or published)
            except WrongScaleError:
                net = build(scale=published)
        except MissingArgumentError as error:
            raise MissingArgumentError(
                f"{error.cause}; load it with srblocks.load_checkpoint and the missing argument, save it with "
                "srblocks.save_checkpoint and use that file",
                "a scale can also be passed to install()",
            ) from error
        if not contents.metadata and len(net.config.get("scales", ())) > 1:
            net = net.at_scale(_PUBLISHED_MULTI_SCALE if _PUBLISHED_MULTI_SCALE in net.scales else max(net.scales))
        return net


def install(registry: ArchRegistry = MAIN_REGISTRY, *, scale: int | None = None, rgb: bool = True) -> None:
    """Register all networks in spandrel. A second call updates the options and adds new networks.

    Args:
        registry: spandrel registry to extend; the default is used by every `ModelLoader()`.
        scale: scale factor for weights that support several. None uses the file's own; if it has none, x2 for
            pre-upsampling networks (VDSR, ...) and x4 for networks with several branches (CARN, MDSR, ...). Weights
            for a single scale keep it.
        rgb: wrap networks on luma or YCbCr so that they process RGB images, as programs expect; False leaves them
            unchanged, with one luma channel.

    Raises:
        ValueError: `scale` is not a valid scale factor.

    Examples:
        >>> registry = ArchRegistry()
        >>> install(registry)
        >>> registry["srblocks-edsr"].architecture.name
        'EDSR'
    """
    scale = None if scale is None else check_scale(scale, "install")
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
    """Patch spandrel's loader: read files it rejects if we know them, and pass our configuration on as a tensor.

    The loader drops metadata, and its unpickler rejects old torch.save files that ``weights_only=True`` reads.
    """
    original = ModelLoader.load_state_dict_from_file
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def load_state_dict_from_file(self: ModelLoader, path: str | Path) -> StateDict:
        ours = [each for each in self.registry if isinstance(each.architecture, SRBlocksArchitecture)]
        try:
            state = original(self, path)
        except (pickle.UnpicklingError, RuntimeError):  # RuntimeError: .pt files are taken for TorchScript
            state = _read(Path(path)) if ours else {}
            if not any(each.detect(state) for each in ours):
                raise
            return {name: tensor.to(self.device) for name, tensor in state.items()}
        recorded = _recorded(Path(path)) if ours else None
        return {**state, CONFIG_TENSOR: configuration_tensor(recorded)} if recorded else state

    setattr(load_state_dict_from_file, _MARK, True)
    ModelLoader.load_state_dict_from_file = load_state_dict_from_file


def _read(path: Path) -> StateDict:
    """Read a file as `srblocks.load_checkpoint` does; return an empty dict if it is rejected."""
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

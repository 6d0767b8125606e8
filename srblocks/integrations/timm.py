"""timm integration: importing this module registers every network as ``srblocks_<network>_x<scale>``.

    import timm
    import srblocks.integrations.timm

    net = timm.create_model("srblocks_rcan_x4", groups=5)
    net = timm.create_model("srblocks_fsrcnn_x2", pretrained=True)

Other arguments are those of `srblocks.create_network`: constructor arguments, and ``weights`` for any file that
`srblocks.load_checkpoint` reads. timm's own ``checkpoint_path`` reads files of `srblocks.save_checkpoint` too, but only
their tensors; pass the constructor arguments of the trained network with it.
"""

from typing import Any

from ..errors import MissingLibraryError
from ..network import Network
from ..networks import network_specs
from ..pretrained import pretrained_path
from ..registry import NetworkSpec
from .factories import factory

try:
    from timm.models import register_model
except ImportError as error:
    cause = "srblocks.integrations.timm requires timm"
    raise MissingLibraryError(cause, 'pip install "srblocks[timm]"') from error

default_cfgs: dict[str, dict[str, Any]] = {}
"""Models with bundled weights, for ``timm.list_models(pretrained=True)``."""


def _register(spec: NetworkSpec, scale: int) -> None:
    name = f"srblocks_{spec.name}_x{scale}"
    build = factory(spec, name)

    def create(
        pretrained: bool = False,
        pretrained_cfg: object = None,
        pretrained_cfg_overlay: object = None,
        cache_dir: object = None,
        **arguments: Any,
    ) -> Network:
        if pretrained and (pretrained_cfg or pretrained_cfg_overlay):
            raise ValueError(
                f"{name}: pretrained=True loads the bundled weights and cannot be combined with pretrained_cfg; "
                "pass weights=FILE without pretrained to load your own file"
            )
        return build(scale=scale, pretrained=pretrained, **arguments)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = build.__doc__
    if path := pretrained_path(spec.name, scale=scale):
        channels = spec.image_channels
        default_cfgs[name] = {
            "file": str(path),
            "license": "apache-2.0",
            "num_classes": 0,
            "input_size": (channels, 64, 64),
            "mean": (0.0,) * channels,
            "std": (1.0,) * channels,
            "crop_pct": 1.0,
        }
    globals()[name] = register_model(create)


for _spec in network_specs():
    for _scale in _spec.scales:
        _register(_spec, _scale)

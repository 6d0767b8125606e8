"""`Network`, the base class of all super-resolution networks."""

import inspect
import numbers
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import torch
from torch import Tensor, nn

from ._utils.compact_repr import CompactRepr

if TYPE_CHECKING:
    from typing_extensions import Self

    from .rewrites.report import Report

COLORS = {"y": 1, "rgb": 3, "ycbcr": 3}
"""Color space of the images -> number of channels."""

_ACCEPTED = {bool: (bool,), int: (numbers.Integral,), float: (numbers.Real,), str: (str,)}
"""Annotation of a constructor argument -> accepted types; NumPy's scalars are numbers, too."""

_SIZES = {
    *("scale", "image_channels", "width", "head_width", "shrunk_width", "upsampler_width", "fusion_width", "growth"),
    *("hidden_width", "attention_width", "kernel_size"),
    *("depth", "blocks", "blocks_per_group", "groups", "layers", "memories", "recursions", "stages", "steps"),
    *("reduction", "deconv_kernel", "mapping_kernel", "upconv_kernel"),
}
"""Constructor arguments that must not be negative; a negative depth, for example, would silently build no layers."""


def default_color(image_channels: int) -> str:
    """Return the color space of images with that many channels: "y", "rgb" or "other"."""
    return {1: "y", 3: "rgb"}.get(image_channels, "other")


def require_network(net: object, function: str) -> None:
    """Raise an error unless `net` is a `Network`.

    Args:
        net: the argument to check.
        function: name of the calling function, for the message.

    Raises:
        TypeError: `net` is not a `Network`; the message names the attribute that unwraps a compiled or parallel one.
    """
    if isinstance(net, Network):
        return
    remedy = "derive your class from srblocks.Network"
    for attribute in ("module", "_orig_mod"):  # DataParallel and DistributedDataParallel; torch.compile
        if isinstance(getattr(net, attribute, None), Network):
            remedy = f"pass net.{attribute}"
    raise TypeError(f"{function}: expected a srblocks.Network, got {type(net).__name__}; {remedy}")


def _is_plain(value: object) -> bool:
    """Return whether JSON can represent a value: a number, a string, None, or a list of these."""
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (str, numbers.Real))


def _plain(value: Any) -> Any:
    """Convert a value for JSON: tuples to lists, NumPy's scalars to Python's."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


class Network(CompactRepr):
    """Base class of super-resolution networks, which map low-resolution images to high-resolution images.

    ``net(lr)`` takes images (N, `image_channels`, H, W) with values in [0, 1] and returns (N, `image_channels`,
    `scale` * H, `scale` * W), in [0, 1] except for over- and undershoot. The input is never modified. In eval mode the
    images of a batch are processed independently and the output is deterministic; in training mode batch norms may
    use batch statistics.

    Convolutions pad the borders: translation equivariance holds at all positions farther from the border than the
    receptive radius, and nowhere for networks with global operations. Under ``torch.autocast`` the output has
    autocast's dtype, or float32 if a float32 image is added last; networks of `srblocks.to_precision` take and return
    float32.

    Args:
        scale: scale factor.
        image_channels: channels of the images, 1 = Y, 3 = RGB.
        min_size: minimum H and W.
        size_multiple: H and W must be multiples of it.
        normalize: first module of ``forward``, from [0, 1] to the value range of the network; None for none.
        denormalize: last module of ``forward``, back to [0, 1]; None for none.
        color: color space of the images: "y" (luma, studio range), "rgb", "ycbcr" (full range) or "other"; None
            derives it from `image_channels`.

    Attributes:
        config: the constructor's arguments including defaults, as far as JSON can represent them (no modules). For
            registered networks these are all arguments: ``type(net)(**net.config)`` and `srblocks.create_network`
            rebuild the network.
        framework: data flow of the class: "pre", "post", "progressive", "iterative" or "other".
        scales: the scales that the weights support, see `at_scale`; ``(scale,)`` for most networks.
        rewrites: report of `srblocks.optimize` if it created this network, else None.

    Raises:
        ValueError: an argument is out of range, or `color` does not match `image_channels`.
        TypeError: an unknown argument, an argument of the wrong type, or one passed through ``*args``, which has no
            name in `config`.
    """

    framework = "other"

    if TYPE_CHECKING:
        config: dict[str, Any]
        rewrites: "Report | None"

    def __new__(cls, *args: Any, **kwargs: Any) -> "Self":
        """Check the constructor's arguments and record them as `config`."""
        self = super().__new__(cls)
        signature = inspect.signature(cls.__init__)
        try:
            bound = signature.bind_partial(self, *args, **kwargs)
        except TypeError as error:
            known = ", ".join(name for name in signature.parameters if name != "self")
            raise TypeError(f"{cls.__name__}: {error}; arguments: {known}") from None
        bound.apply_defaults()
        config: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                config |= value
            elif signature.parameters[name].kind is not inspect.Parameter.VAR_POSITIONAL:
                config[name] = value
            elif value:
                raise TypeError(f"{cls.__name__}: pass arguments by name instead of *{name}, so that config has them")
        self.__dict__["config"] = {name: _plain(value) for name, value in config.items() if _is_plain(value)}
        for name, value in self.config.items():  # before a layer of that size is built
            if name in _SIZES and type(value) is int and value < 0:
                raise ValueError(f"{cls.__name__}: {name} must not be negative, got {value}")
        for name, value in bound.arguments.items():
            _check_type(cls.__name__, signature.parameters[name], value)
        return self

    def __init__(
        self,
        *,
        scale: int,
        image_channels: int,
        min_size: int = 1,
        size_multiple: int = 1,
        normalize: nn.Module | None = None,
        denormalize: nn.Module | None = None,
        color: str | None = None,
    ) -> None:
        super().__init__()
        if scale < 1 or image_channels < 1:
            raise ValueError(
                f"{type(self).__name__}: scale and image_channels must be integers >= 1, got scale={scale}, "
                f"image_channels={image_channels}"
            )
        self.rewrites = None
        self.scale = int(scale)
        self.scales: tuple[int, ...] = (self.scale,)
        self.image_channels = int(image_channels)
        self.color = color or default_color(image_channels)
        if {**COLORS, "other": image_channels}.get(self.color) != image_channels:
            raise ValueError(
                f"{type(self).__name__}: color must be y with 1 channel, rgb or ycbcr with 3, or other; got "
                f"color={color!r} with image_channels={image_channels}"
            )
        self.min_size = min_size
        self.size_multiple = size_multiple
        self.normalise = normalize or nn.Identity()
        self.denormalise = denormalize or nn.Identity()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the network after a check of the image shape; tracers and compilers skip the check.

        Raises:
            ValueError: the network does not accept images of this shape.
        """
        lr = args[0] if args else kwargs.get("lr")
        if isinstance(lr, Tensor) and not (  # a torch.fx.Proxy is not a tensor
            torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
            or torch.compiler.is_compiling()
        ):
            self.check_shape(lr.shape)
        return super().__call__(*args, **kwargs)

    def check_shape(self, shape: torch.Size) -> None:
        """Check that the network accepts images of a shape.

        Raises:
            ValueError: it does not; the message describes the accepted shapes.
        """
        if (
            len(shape) != 4
            or shape[1] != self.image_channels
            or min(shape[2:]) < self.min_size
            or any(side % self.size_multiple for side in shape[2:])
        ):
            expected = f"(N, {self.image_channels}, H, W) with H, W >= {self.min_size}"
            if self.size_multiple > 1:
                expected += f" in multiples of {self.size_multiple}"
            raise ValueError(f"{type(self).__name__}: expected images of shape {expected}, got {tuple(shape)}")

    def at_scale(self, scale: int) -> "Network":
        """Return the network of a single scale, which shares parameters and statistics with this one.

        Training or loading one therefore changes the other. Move the network to its device first. Branches of other
        scales are left out.

        Args:
            scale: one of `scales`.

        Raises:
            ValueError: the weights do not support that scale, or `srblocks.optimize` created this network.
        """
        if self.rewrites is not None:
            raise ValueError(f"{type(self).__name__}: optimized for x{self.scale} only; call at_scale before optimize")
        if scale not in self.scales:
            supported = ", ".join(map(str, self.scales))
            raise ValueError(f"{type(self).__name__}: scale must be one of {supported}, got {scale}")
        with torch.random.fork_rng(devices=[]):
            net = type(self)(**self._config_at(scale))
        held = self.state_dict(keep_vars=True)
        trained = {name: tensor.requires_grad for name, tensor in held.items()}
        if held:
            tensor = next(iter(held.values()))
            net.to(tensor.device, tensor.dtype if tensor.is_floating_point() else None)
        net.load_state_dict({name: held[name] for name in net.state_dict()}, assign=True)
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(trained[name])
        return net.train(self.training)

    def _config_at(self, scale: int) -> dict[str, Any]:
        """Return the constructor arguments for a single scale of `scales`."""
        config = {**self.config, "scale": scale}
        if "scales" in config:
            config["scales"] = [scale]
        return config

    def sequential_slots(self) -> list[list[str]]:
        """Return the chains of slots that ``forward`` runs in sequence, so that `srblocks.optimize` can merge them.

        Each slot receives the output of the previous slot, and nothing else uses that output (not even
        `intermediate_outputs`). By default there are none; a class that overrides ``forward`` overrides this, too.
        """
        return []

    def intermediate_outputs(self, lr: Tensor) -> list[Tensor]:
        """Return all images to supervise in training, coarsest first; the last one is the output.

        Networks with intermediate outputs override it. The default is the output only.
        """
        return [self(lr)]


def _check_type(owner: str, parameter: inspect.Parameter, value: object) -> None:
    """Check a constructor argument against its annotation: bool, int, float, str or a `Literal` of strings."""
    choices = get_args(parameter.annotation) if get_origin(parameter.annotation) is Literal else ()
    expected = str if choices else parameter.annotation
    accepted = _ACCEPTED.get(expected) if isinstance(expected, type) else None
    if accepted and parameter.kind is not parameter.VAR_KEYWORD and not isinstance(value, accepted):
        raise TypeError(
            f"{owner}: {parameter.name} must be of type {expected.__name__}, got {value!r} ({type(value).__name__})"
        )
    if choices and value not in choices:
        raise ValueError(f"{owner}: {parameter.name} must be one of {', '.join(map(repr, choices))}, got {value!r}")

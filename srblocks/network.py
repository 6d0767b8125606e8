"""What every network of the package has in common."""

import inspect
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import torch
from torch import Tensor, nn

from ._utils.compact_repr import CompactRepr

if TYPE_CHECKING:
    from typing_extensions import Self

    from .rewrites.report import Report


COLORS = {"y": 1, "rgb": 3, "ycbcr": 3}
"""What the channels of an image can be -> their number."""

_KINDS = {bool: (bool,), int: (int,), float: (int, float), str: (str,)}
"""Annotation of a constructor's argument -> what it may be."""


def require_network(net: object, function: str) -> None:
    """Raise an error unless `net` is a `Network`.

    Args:
        net: the user's argument.
        function: name of the calling function, for the message.

    Raises:
        TypeError: `net` is not a `Network`; the message names the attribute that unwraps a compiled or parallel one.
    """
    if isinstance(net, Network):
        return
    remedy = "derive your class from srblocks.Network"
    for attribute in ("module", "_orig_mod"):  # DataParallel and its kin; torch.compile
        if isinstance(getattr(net, attribute, None), Network):
            remedy = f"pass net.{attribute}"
    raise TypeError(f"{function}: expected a srblocks.Network, got {type(net).__name__}; {remedy}")


def _is_plain(value: object) -> bool:
    """Tell whether JSON can hold a value: a number, a string, None, or a list of such."""
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (int, float, str))


class Network(CompactRepr):
    """A super-resolution network: a pure function from low-resolution to high-resolution images.

    ``net(lr)`` takes images (N, `image_channels`, H, W) with values in [0, 1] and gives (N, `image_channels`,
    `scale` * H, `scale` * W), in [0, 1] up to over- and undershoot. It never writes its input. In eval mode it treats
    the items of a batch independently, and the same input gives the same output; in training mode that does not hold
    where batch norms take their statistics from the batch.

    Convolutions pad the borders, so that a moved image gives the moved output only where the receptive radius does not
    reach a border: exactly there, and nowhere for networks that look at the whole image. Under ``torch.autocast`` the
    output is of autocast's dtype, or of float32 where a float32 image is added last; `srblocks.to_precision` takes and
    gives float32.

    Args:
        scale: enlargement per side.
        image_channels: channels of the images, 1 = Y, 3 = RGB.
        min_size: the smallest H and W that the network takes.
        size_multiple: H and W must be multiples of it.
        normalize: from [0, 1] into the value range that the network works in, first in ``forward``; None for none.
        denormalize: back to [0, 1], last in ``forward``; None for none.
        color: what the channels are: "y" (luma, studio range), "rgb", "ycbcr" (full range) or "other"; None tells it
            from their number.

    Attributes:
        config: the constructor's arguments with their defaults, as far as JSON can hold them (no modules). For the
            networks of the registry that is all of them: ``type(net)(**net.config)`` and
            `srblocks.create_network` build the same network again.
        scales: the scales that the weights serve, all by `at_scale`; `scale` alone for most networks.
        rewrites: what `srblocks.optimize` did to make this network; None for one that it did not make.

    Raises:
        ValueError: an argument is out of its range, or `color` does not fit `image_channels`.
        TypeError: an argument that the constructor does not have, or of another type than it says; arguments that it
            takes as ``*args``, whose names are not known.
    """

    if TYPE_CHECKING:
        config: dict[str, Any]
        rewrites: "Report | None"

    def __new__(cls, *args: Any, **kwargs: Any) -> "Self":
        """Record the constructor's arguments as `config`; refuse negative ones and those of a wrong type."""
        self = super().__new__(cls)
        signature = inspect.signature(cls.__init__)
        try:
            bound = signature.bind_partial(self, *args, **kwargs)
        except TypeError as error:
            known = ", ".join(name for name in signature.parameters if name != "self")
            raise TypeError(f"{cls.__name__}: {error}; it takes {known}") from None
        bound.apply_defaults()
        config: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                config |= value
            elif signature.parameters[name].kind is not inspect.Parameter.VAR_POSITIONAL:
                config[name] = value
            elif value:
                raise TypeError(f"{cls.__name__} has *{name}: give arguments by name, so that its config records them")
        self.__dict__["config"] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in config.items()
            if _is_plain(value)
        }
        for name, value in self.config.items():  # before a layer of that size is built
            if type(value) is int and value < 0:
                raise ValueError(f"{cls.__name__}: {name}={value} is negative; use 0 or more")
        for name, parameter in signature.parameters.items():
            choices = get_args(parameter.annotation) if get_origin(parameter.annotation) is Literal else ()
            wanted = str if choices else parameter.annotation
            kind = _KINDS.get(wanted) if isinstance(wanted, type) else None
            value = bound.arguments.get(name, parameter.default)
            if value is parameter.empty:
                continue
            if kind and not isinstance(value, kind):
                given = type(value).__name__
                raise TypeError(
                    f"{cls.__name__}: {name}={value!r} is of type {given}; give one of type {wanted.__name__}"
                )
            if choices and value not in choices:
                raise ValueError(
                    f"{cls.__name__}: {name} must be one of {', '.join(map(repr, choices))}, got {value!r}"
                )
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
            raise ValueError(f"{type(self).__name__}: scale={scale}, image_channels={image_channels}; use 1 or more")
        self.rewrites = None
        self.scale = scale
        self.scales: tuple[int, ...] = (scale,)
        self.image_channels = image_channels
        self.color = color or {1: "y", 3: "rgb"}.get(image_channels, "other")
        if {**COLORS, "other": image_channels}.get(self.color) != image_channels:
            raise ValueError(
                f"{type(self).__name__}: color={color!r} with image_channels={image_channels}; "
                "use y with 1, rgb or ycbcr with 3, other with any"
            )
        self.min_size = min_size
        self.size_multiple = size_multiple
        self.normalise = normalize or nn.Identity()
        self.denormalise = denormalize or nn.Identity()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the network; images of a wrong shape are refused before any layer sees them.

        Raises:
            ValueError: the shape of the images is not one that the network takes.
        """
        lr = args[0] if args else kwargs.get("lr")
        if lr is not None and not (
            torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
            or torch.compiler.is_compiling()
        ):
            self.check_shape(lr.shape)
        return super().__call__(*args, **kwargs)

    def check_shape(self, shape: torch.Size) -> None:
        """Refuse images of a shape that the network does not take.

        Raises:
            ValueError: with what is allowed.
        """
        wanted = f"(N, {self.image_channels}, H, W) with H, W >= {self.min_size}"
        if self.size_multiple > 1:
            wanted += f" in multiples of {self.size_multiple}"
        if (
            len(shape) != 4
            or shape[1] != self.image_channels
            or min(shape[2:]) < self.min_size
            or any(side % self.size_multiple for side in shape[2:])
        ):
            raise ValueError(f"{type(self).__name__}: images of shape {tuple(shape)}; give {wanted}")

    def at_scale(self, scale: int) -> "Network":
        """Give the network of one scale alone, which shares the parameters and statistics of this one.

        Training or loading the one therefore changes the other; move the network to its device before, not after. The
        result holds no branch of another scale.

        Args:
            scale: one of `scales`.

        Raises:
            ValueError: the weights do not serve that scale, or `srblocks.optimize` made this network.
        """
        if self.rewrites is not None:
            raise ValueError(f"{type(self).__name__}: optimized for x{self.scale} alone; call at_scale before optimize")
        if scale not in self.scales:
            served = ", ".join(map(str, self.scales))
            raise ValueError(f"{type(self).__name__}: the weights do not serve scale={scale}; they serve {served}")
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
        """Give the constructor's arguments of the network of one of `scales` alone."""
        config = {**self.config, "scale": scale}
        if "scales" in config:
            config["scales"] = [scale]
        return config

    def sequential_slots(self) -> list[list[str]]:
        """Give the slots that ``forward`` runs directly behind one another, for `srblocks.optimize` to join.

        Each slot of a chain sees the output of the one before it, which nothing else reads, `intermediate_outputs` included. A
        class with a ``forward`` of its own that says nothing here has no such slots.
        """
        return []

    def intermediate_outputs(self, lr: Tensor) -> list[Tensor]:
        """Give every image that training supervises, coarsest first; the last one is the output.

        Networks with intermediate outputs override it; for the others it is the output alone.
        """
        return [self(lr)]

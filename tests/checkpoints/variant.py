"""A file in a third-party layout, with the network that it must match."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from checkpoints.authors import DIV2K, Color, StateDictView

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Variant:
    """A file and the network that it must match.

    Attributes:
        title: name of the test case.
        network: registry name.
        used: the tensors in order of execution.
        config: the constructor arguments that matter.
        scales: the scales that the weights support.
        given: arguments that the caller must pass.
        unused: tensors that the authors' forward pass does not use.
        constant: prefixes of our names of tensors that the file lacks.
        white: value range of the fixed convolutions.
        mean: their mean color.
    """

    title: str
    network: str
    used: Shapes
    config: Mapping[str, object]
    scales: tuple[int, ...]
    given: Mapping[str, object]
    unused: Shapes
    constant: tuple[str, ...]
    white: float
    mean: Color


def variant(
    title: str,
    network: str,
    used: StateDictView,
    config: Mapping[str, object],
    *,
    scales: Iterable[int] = (),
    given: Mapping[str, object] | None = None,
    unused: StateDictView = (),
    constant: tuple[str, ...] = (),
    white: float = 255.0,
    mean: Color = DIV2K,
) -> Variant:
    supported = tuple(scales) or (int(str(config["scale"])),)
    return Variant(title, network, tuple(used), config, supported, given or {}, tuple(unused), constant, white, mean)


MEAN = ("normalise.", "denormalise.")
FULL = {"value_range": 255.0, "mean_shift": True}
UNIT = {"value_range": 1.0}
SHIFTED = {"value_range": 1.0, "mean_shift": True}

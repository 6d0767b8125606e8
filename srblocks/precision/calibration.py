"""Calibration: the value ranges inside a network, and whether they fit into a precision."""

import math
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..network import Network
from .module_paths import device_of, dtype_of, for_inference, match_paths, parent_paths

HEADROOM = 0.5
"""Fraction of a precision's range that may be used without a warning, since other images reach other values."""


@dataclass(frozen=True)
class Calibration:
    """Largest magnitudes inside a network by module path; the empty path is the network itself.

    The modules are in the order in which their first calls finish.

    Attributes:
        maxima: largest magnitude of a module's own weights and of all values that its forward computes outside of its
            submodules, including its output; infinite if a value is NaN.
        outputs: largest magnitude of the module's output; only for modules that are called.
    """

    maxima: dict[str, float]
    outputs: dict[str, float]

    @property
    def largest(self) -> float:
        """Largest magnitude in the network."""
        return max(self.maxima.values())

    def overflowing(
        self, precision: str, fp32_modules: Collection[str] = (), *, fraction: float = 1.0
    ) -> dict[str, float]:
        """Return the modules whose values exceed the range of a precision.

        Args:
            precision: "fp16", "bf16" or "fp32".
            fp32_modules: modules that stay in float32, see `to_precision`; only their outputs must fit.
            fraction: fraction of the range that may be used.

        Returns:
            Module path -> largest magnitude, in the order in which the modules finish.
        """
        limit = torch.finfo(dtype_of(precision)).max * fraction
        chosen = {path for path in match_paths(self.maxima, fp32_modules) if path in self.outputs}
        found: dict[str, float] = {}
        for path, most in self.maxima.items():
            kept = [parent for parent in parent_paths(path) if parent in chosen]
            counted = most if not kept else self.outputs[path] if kept == [path] else 0.0
            if counted > limit:
                found[path] = counted
        return found

    def float32_modules(self, precision: str, fp32_modules: Collection[str] = ()) -> list[str]:
        """Return expressions for `fp32_modules` that keep all overflowing modules in float32, including the given ones.

        Each matches the innermost parent whose output fits into the precision; [] if there is none for some module.
        """
        limit = torch.finfo(dtype_of(precision)).max
        found = list(fp32_modules)
        for path in self.overflowing(precision, fp32_modules):
            fits = (parent for parent in parent_paths(path) if self.outputs.get(parent, math.inf) <= limit)
            if (parent := next(fits, None)) is None:
                return []
            found.append(re.escape(parent))
        return list(dict.fromkeys(found))

    def overflow(self, precision: str, fp32_modules: Collection[str] = ()) -> str | None:
        """Return a description of the overflow; None if all values fit."""
        found = self.overflowing(precision, fp32_modules)
        return f"{precision}: {_text(found)} exceeds {torch.finfo(dtype_of(precision)).max:.6g}" if found else None

    def check(self, precision: str, fp32_modules: Collection[str] = ()) -> list[str]:
        """Raise an error if the range of a precision is too small; return warnings above `HEADROOM`.

        Raises:
            OverflowError: values exceed the range; the message names the modules to keep in float32.

        Examples:
            >>> Calibration({"": 9.0, "body": 9e4, "body.0": 9e4}, {"": 9.0, "body": 7.0, "body.0": 9e4}).check("fp16")
            Traceback (most recent call last):
            OverflowError: fp16: max |activation| 90000 in body (and 1 more) exceeds 65504; keep it in fp32 with ...
        """
        if overflow := self.overflow(precision, fp32_modules):
            modules = self.float32_modules(precision, fp32_modules)
            remedy = f"keep it in fp32 with fp32_modules={tuple(modules)} or use bf16" if modules else "use bf16"
            raise OverflowError(f"{overflow}; {remedy if precision == 'fp16' else 'use other weights or fp32'}")
        near = self.overflowing(precision, fp32_modules, fraction=HEADROOM)
        limit = torch.finfo(dtype_of(precision)).max
        return [f"{precision}: {_text(near)} is close to the maximum of {limit:.6g}"] if near else []


def _text(found: dict[str, float]) -> str:
    path, most = max(found.items(), key=lambda item: item[1])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"max |activation| {most:.6g} in {path or 'the network itself'}{more}"


def calibrate(net: Network, images: Iterable[Tensor]) -> Calibration:
    """Record the largest magnitudes inside a network, in float32.

    Args:
        net: the network; it is not changed.
        images: one or more representative batches (N, C, H, W) with values in [0, 1].

    Raises:
        ValueError: `images` is empty.

    Examples:
        >>> from srblocks import create_network
        >>> found = calibrate(create_network("edsr_baseline"), [torch.rand(1, 3, 8, 9)])
        >>> found.check("fp16"), found.outputs["normalise.0"] > 200
        ([], True)
    """
    net = for_inference(net)
    recorder = _Recorder(net)
    device = device_of(net)
    with torch.inference_mode(), recorder:
        for lr in images:
            net(lr.to(device, torch.float32))
    if net not in recorder.outputs:
        raise ValueError("calibrate: images is empty; pass at least one representative batch")
    paths: dict[nn.Module, list[str]] = {}
    for path, module in net.named_modules(remove_duplicate=False):
        paths.setdefault(module, []).append(path)
    order = dict.fromkeys([*recorder.outputs, *paths])
    return Calibration(
        {path: recorder.maxima[module] for module in order for path in paths[module]},
        {path: most for module, most in recorder.outputs.items() for path in paths[module]},
    )


class _Recorder(TorchFunctionMode):
    """Records the largest magnitude of every result for the innermost running module."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.maxima: dict[nn.Module, float] = {}
        self.outputs: dict[nn.Module, float] = {}
        self._running: list[nn.Module] = []
        for module in net.modules():
            self.maxima[module] = _magnitude([*module.parameters(recurse=False), *module.buffers(recurse=False)])
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave)

    def _enter(self, module: nn.Module, inputs: object) -> None:
        self._running.append(module)

    def _leave(self, module: nn.Module, inputs: object, output: object) -> None:
        self.outputs[module] = max(self.outputs.get(module, 0.0), _magnitude(output))
        self._running.pop()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._running and "empty" not in func.__name__:  # uninitialized memory does not count
            module = self._running[-1]
            self.maxima[module] = max(self.maxima[module], _magnitude(result))
        return result


def _magnitude(value: object) -> float:
    """Return the largest magnitude in one or several tensors; infinite for NaN."""
    if isinstance(value, Tensor) and value.is_floating_point() and value.numel():
        most = float(value.abs().amax())
        return math.inf if math.isnan(most) else most
    if isinstance(value, (list, tuple)):
        return max((_magnitude(item) for item in cast("list[object]", value)), default=0.0)
    return 0.0

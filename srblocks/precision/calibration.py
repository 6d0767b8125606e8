"""Calibration: how large the values inside a network become, and whether they fit into a precision."""

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
"""The part of a precision's range that may be filled without a remark: other images reach other values."""


@dataclass(frozen=True)
class Calibration:
    """How large the values inside a network became, by the path of the module; "" is the network itself.

    The modules stand in the order in which they are first done.

    Attributes:
        maxima: largest magnitude of a module's own weights and of all that its forward computes outside of the modules
            in it, its output included; infinite where something is NaN.
        outputs: largest magnitude of what the module gives; only of modules that are called.
    """

    maxima: dict[str, float]
    outputs: dict[str, float]

    @property
    def largest(self) -> float:
        """Largest magnitude of all."""
        return max(self.maxima.values())

    def overflowing(self, precision: str, fp32_modules: Collection[str] = (), *, part: float = 1.0) -> dict[str, float]:
        """Give what does not fit into the range of a precision.

        Args:
            precision: "fp16", "bf16" or "fp32".
            fp32_modules: what stays in float32, see `to_precision`; of such modules only the outputs must fit.
            part: the part of the range that may be filled.

        Returns:
            Path to largest magnitude, first that of the module that is done first.
        """
        limit = torch.finfo(dtype_of(precision)).max * part
        chosen = {path for path in match_paths(self.maxima, fp32_modules) if path in self.outputs}
        found: dict[str, float] = {}
        for path, most in self.maxima.items():
            around = [place for place in parent_paths(path) if place in chosen]
            counted = most if not around else self.outputs[path] if around == [path] else 0.0
            if counted > limit:
                found[path] = counted
        return found

    def islands(self, precision: str, fp32_modules: Collection[str] = ()) -> list[str]:
        """Give the expressions for `fp32_modules` that keep what overflows in float32, those given among them.

        Each names the innermost module around it whose output fits; [] where there is none.
        """
        limit = torch.finfo(dtype_of(precision)).max
        found = list(fp32_modules)
        for path in self.overflowing(precision, fp32_modules):
            place = next((place for place in parent_paths(path) if self.outputs.get(place, math.inf) <= limit), None)
            if place is None:
                return []
            found.append(re.escape(place))
        return list(dict.fromkeys(found))

    def problem(self, precision: str, fp32_modules: Collection[str] = ()) -> str | None:
        """Say what overflows; None when nothing does."""
        found = self.overflowing(precision, fp32_modules)
        return f"{precision}: {_text(found)} exceeds {torch.finfo(dtype_of(precision)).max:.6g}" if found else None

    def check(self, precision: str, fp32_modules: Collection[str] = ()) -> list[str]:
        """Refuse a precision whose range is too small; give a remark where more than `HEADROOM` of it is filled.

        Raises:
            OverflowError: it overflows; the message says where, and which modules to keep in float32.

        Example:
            >>> Calibration({"": 9.0, "body": 9e4, "body.0": 9e4}, {"": 9.0, "body": 7.0, "body.0": 9e4}).check("fp16")
            Traceback (most recent call last):
            OverflowError: fp16: max |activation| 90000 in body (and 1 more) exceeds 65504; keep it in fp32 with ...
        """
        if problem := self.problem(precision, fp32_modules):
            islands = self.islands(precision, fp32_modules)
            remedy = f"keep it in fp32 with fp32_modules={tuple(islands)} or use bf16" if islands else "use bf16"
            raise OverflowError(f"{problem}; {remedy if precision == 'fp16' else 'use other weights or fp32'}")
        near = self.overflowing(precision, fp32_modules, part=HEADROOM)
        limit = torch.finfo(dtype_of(precision)).max
        return [f"{precision}: {_text(near)} is near the largest number, {limit:.6g}"] if near else []


def _text(found: dict[str, float]) -> str:
    path, most = max(found.items(), key=lambda item: item[1])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"max |activation| {most:.6g} in {path or 'the network itself'}{more}"


def calibrate(net: Network, images: Iterable[Tensor]) -> Calibration:
    """Record how large the values inside a network become, in float32.

    Args:
        net: the network; it is not changed.
        images: one or more batches (N, C, H, W) with values in [0, 1], such as the network will see.

    Raises:
        ValueError: no images.

    Example:
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
        raise ValueError("calibrate: no images; give one or more such as the network will see")
    paths: dict[nn.Module, list[str]] = {}
    for path, module in net.named_modules(remove_duplicate=False):
        paths.setdefault(module, []).append(path)
    order = dict.fromkeys([*recorder.outputs, *paths])
    return Calibration(
        {path: recorder.maxima[module] for module in order for path in paths[module]},
        {path: most for module, most in recorder.outputs.items() for path in paths[module]},
    )


class _Recorder(TorchFunctionMode):
    """Notes the largest magnitude of every result against the innermost module that runs."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.maxima: dict[nn.Module, float] = {}
        self.outputs: dict[nn.Module, float] = {}
        self._running: list[nn.Module] = []
        for module in net.modules():
            self.maxima[module] = _magnitude([*module.parameters(recurse=False), *module.buffers(recurse=False)])
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave)

    def _enter(self, module: nn.Module, given: object) -> None:
        self._running.append(module)

    def _leave(self, module: nn.Module, given: object, output: object) -> None:
        self.outputs[module] = max(self.outputs.get(module, 0.0), _magnitude(output))
        self._running.pop()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._running and "empty" not in func.__name__:  # what such a function gives is not computed yet
            module = self._running[-1]
            self.maxima[module] = max(self.maxima[module], _magnitude(result))
        return result


def _magnitude(value: object) -> float:
    """Largest magnitude in a tensor or in several; infinite for NaN."""
    if isinstance(value, Tensor) and value.is_floating_point() and value.numel():
        most = float(value.abs().amax())
        return math.inf if math.isnan(most) else most
    if isinstance(value, (list, tuple)):
        return max((_magnitude(item) for item in cast("list[object]", value)), default=0.0)
    return 0.0

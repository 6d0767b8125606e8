"""Fake `tensorrt` for contract tests without a GPU, with exactly the names of version 8.6, 10 or 11, or of RTX.

`data/tensorrt.json` lists the names of the real bindings, extracted from 8.6.0, 10.15.1, 11.4.0 and TensorRT for RTX
1.7.1. Names that a version lacks raise AttributeError. An engine runs in onnxruntime, on the memory at the addresses
passed to it. The tests verify the names, order and arguments of our calls; only TensorRT itself can show that they
work.
"""

import ctypes
import enum
import importlib.machinery
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from helpers.support import facts
from helpers.tensorrt_parts import PARTS
from helpers.tensorrt_rtx_parts import RTX_PARTS

SURFACES = facts("tensorrt.json")
MAJORS = [name for name in SURFACES if name != "rtx"]


class _Limited:
    """Object that allows only the names of its class in the faked version, and private ones."""

    surface: frozenset[str]

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in type(self).surface:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in type(self).surface:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        super().__setattr__(name, value)


class Standin:
    """Fake module and a record of the calls.

    Attributes:
        module: the module for `import tensorrt`.
        calls: names and arguments of the recorded calls, in order.
        faults: faults to simulate: "no_cuda", "parser_error", "no_engine", "no_context", "not_taken", "not_run",
            "invalid" (the name of a diagnosis).
        capturing: deferred calls during the capture of a CUDA graph, otherwise None.
        current: function that returns the current CUDA stream.
    """

    def __init__(self, major: str) -> None:
        surface = SURFACES[major]
        self.calls: list[tuple[Any, ...]] = []
        self.faults: dict[str, str] = {}
        self.capturing: list[Callable[[], None]] | None = None
        self.current: Callable[[], Any] = lambda: None
        name = "tensorrt_rtx_bindings" if major == "rtx" else "tensorrt"
        self.module = module = ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        vars(module)["__version__"] = surface["version"]
        for name, members in surface["enums"].items():
            bits = name == "EngineInvalidityDiagnostics"
            values = {member: 1 << number if bits else number for number, member in enumerate(members)}
            setattr(module, name, enum.IntEnum(name, values))
        vars(module)["ILogger"] = _logger_class()
        for base in (*PARTS, *(RTX_PARTS if major == "rtx" else ())):
            name = base.NAME
            attributes = {"surface": frozenset(surface["classes"][name]), "_fake": self}
            setattr(module, name, type(name, (base, _Limited), attributes))

    @property
    def made(self) -> list[str]:
        """Names of the recorded calls."""
        return [str(call[0]) for call in self.calls]

    def arguments(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of every call of that name."""
        return [call[1:] for call in self.calls if call[0] == name]


def install(monkeypatch: pytest.MonkeyPatch, major: str) -> Standin:
    """Replace `tensorrt` by a fake, on a machine that seems to have a GPU of compute capability 9.0."""
    standin = Standin(major)
    monkeypatch.setitem(sys.modules, standin.module.__name__, standin.module)
    monkeypatch.setattr("srblocks_export.formats.tensorrt.trt_engine.host.compute_capability", lambda number=0: "9.0")
    monkeypatch.setattr("srblocks_export.formats.base._has_cuda", lambda: True)
    monkeypatch.setattr("srblocks_export.formats.tensorrt.runner.current_device", lambda: torch.device("cpu"))
    return standin


def hide_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the CUDA driver, even if it is installed; other shared libraries still load."""
    load = ctypes.CDLL

    def load_other(name: str) -> ctypes.CDLL:
        if "cuda" in Path(name).name:
            raise OSError(f"{name}: cannot open shared object file")
        return load(name)

    monkeypatch.setattr(ctypes, "CDLL", load_other)


def _logger_class() -> type:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    return type("ILogger", (), {"Severity": Severity, **Severity.__members__})

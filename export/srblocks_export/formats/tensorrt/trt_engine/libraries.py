"""The libraries that build and run engines: TensorRT and TensorRT for RTX, which has the same API."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import os
import sys
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from .errors import EngineError, first_line


@dataclass(frozen=True)
class Library:
    """A library with TensorRT's API.

    Attributes:
        name: its name in commands and manifests.
        title: its name in messages.
        format: export format of its engines.
        modules: its Python modules; the first one installed is used.
        suffix: suffix of its engines.
        install: command that installs it.
    """

    name: str
    title: str
    format: str
    modules: tuple[str, ...]
    suffix: str
    install: str

    @property
    def module(self) -> str | None:
        """Name of the installed module; None if there is none."""
        return next((name for name in self.modules if importlib.util.find_spec(name)), None)

    def load(self) -> Any:
        """Import and return the library.

        Raises:
            EngineError: E401, it is not installed or does not load.
        """
        name = self.module
        if name is None:
            raise EngineError(401, f"{self.modules[-1]} not installed", self.install)
        try:
            with _lazy_binding():
                return importlib.import_module(name)
        except Exception as error:  # missing libraries raise ImportError, incompatible ones anything
            raise EngineError(401, f"{name} does not load ({first_line(error)})", self.install) from error


TENSORRT = Library("tensorrt", "TensorRT", "trt", ("tensorrt",), ".engine", "pip install tensorrt")
TENSORRT_RTX = Library(
    "tensorrt-rtx",
    "TensorRT for RTX",
    "trt-rtx",
    ("tensorrt_rtx", "tensorrt_rtx_bindings"),
    ".rtx.engine",
    "pip install tensorrt-rtx-cu13-bindings tensorrt-rtx-cu13-libs",
)
LIBRARIES = {each.name: each for each in (TENSORRT, TENSORRT_RTX)}
"""Libraries by name, in order of preference."""


def installed_library() -> Library:
    """Return the first installed library; TensorRT if none is."""
    return next((each for each in LIBRARIES.values() if each.module), TENSORRT)


def library_version(trt: Any) -> str:
    """Return the version of the shared library, which can differ from that of the Python module.

    Args:
        trt: the module of a library.
    """
    path = getattr(sys.modules.get(trt.Builder.__module__), "__file__", None)
    if path is None:
        return str(trt.__version__)
    functions = [f"getInferLib{part}Version" for part in ("Major", "Minor", "Patch", "Build")]
    try:
        library = ctypes.CDLL(path)
        return ".".join(str(getattr(library, name)()) for name in functions)
    except (OSError, AttributeError):  # TensorRT 8.6 has no such functions
        return str(trt.__version__)


@contextlib.contextmanager
def _lazy_binding() -> Generator[None, None, None]:
    """Resolve symbols on first call: 8.6 links to symbols of cuBLAS and cuDNN that are not needed here."""
    if not hasattr(sys, "setdlopenflags"):
        yield
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags & ~os.RTLD_NOW | os.RTLD_LAZY)
    try:
        yield
    finally:
        sys.setdlopenflags(flags)

"""Facts that an engine depends on: TensorRT's version, the GPU's compute capability, the operating system."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import platform
import re
import sys
from collections.abc import Generator
from typing import Any

Facts = dict[str, Any]


class EngineError(Exception):
    """An error with a number, a cause and a remedy; the hundreds of the number are the exit code."""

    def __init__(self, number: int, cause: str, remedy: str) -> None:
        super().__init__(f"E{number} {cause}; {remedy}")
        self.number = number
        self.cause = cause
        self.remedy = remedy


def import_tensorrt() -> Any:
    """Return the installed TensorRT.

    Raises:
        EngineError: E401, it is not installed or does not load.
    """
    try:
        with _lazy_binding():
            return importlib.import_module("tensorrt")
    except Exception as error:  # missing libraries raise ImportError, incompatible ones anything
        raise EngineError(401, f"tensorrt does not load ({first_line(error)})", "pip install tensorrt") from error


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


def host_facts(device: int = 0) -> Facts:
    """Return TensorRT's version, the GPU's compute capability and the operating system of this machine.

    Args:
        device: index of the GPU.

    Raises:
        EngineError: E401, no TensorRT; E402, no usable GPU.
    """
    system = f"{platform.system()}-{platform.machine()}".lower()
    return {"tensorrt": import_tensorrt().__version__, "compute_capability": compute_capability(device), "os": system}


def compute_capability(number: int = 0) -> str:
    """Return the compute capability of a GPU, such as "9.0", as the CUDA driver reports it.

    Raises:
        EngineError: E402, no driver or no GPU; TensorRT itself would crash or ignore it.
    """
    remedy = "build and run the engine on a machine with an NVIDIA GPU and its driver"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        failed = (
            driver.cuInit(0)
            or driver.cuDeviceGet(ctypes.byref(device), number)
            or driver.cuDeviceGetAttribute(ctypes.byref(major), 75, device)
            or driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
        )
    except (OSError, AttributeError) as error:
        raise EngineError(402, f"no usable CUDA driver ({first_line(error)})", remedy) from error
    if failed:
        raise EngineError(402, f"no usable CUDA device (driver error {failed})", remedy)
    return f"{major.value}.{minor.value}"


def misfit(made: Facts, here: Facts) -> str | None:
    """Return why an engine with the facts `made` does not run on a machine with the facts `here`; None if it does."""
    if made["os"] != here["os"]:
        return f"built on {made['os']}, this is {here['os']}"
    major = str(made["tensorrt"]).split(".", 1)[0]
    if made.get("version_compatible"):
        if major != str(here["tensorrt"]).split(".", 1)[0] or _numbers(here["tensorrt"]) < _numbers(made["tensorrt"]):
            return f"built for TensorRT {made['tensorrt']} and later {major}.x, this is {here['tensorrt']}"
    elif made["tensorrt"] != here["tensorrt"]:
        return f"built by TensorRT {made['tensorrt']}, this is {here['tensorrt']}"
    if made.get("hardware") == "ampere+":
        if _numbers(here["compute_capability"]) < [8, 0]:
            return f"built for compute capability 8.0 and above, this GPU has {here['compute_capability']}"
    elif made["compute_capability"] != here["compute_capability"]:
        ours = here["compute_capability"]
        return f"built for a GPU of compute capability {made['compute_capability']}, this one has {ours}"
    return None


def _numbers(version: Any) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", str(version))]


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 characters, or its type if it has no text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]

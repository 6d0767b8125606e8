"""What an engine is bound to: TensorRT's version, the GPU's compute capability, the operating system."""

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
    """One cause and one remedy; the hundreds of `number` are the exit code."""

    def __init__(self, number: int, cause: str, remedy: str) -> None:
        super().__init__(f"E{number} {cause}; {remedy}")
        self.number = number
        self.cause = cause
        self.remedy = remedy


def import_tensorrt() -> Any:
    """Give the installed TensorRT.

    Raises:
        EngineError: E401, it is not installed or does not load.
    """
    try:
        with _lazily():
            return importlib.import_module("tensorrt")
    except Exception as error:  # a missing library is an ImportError, an unfitting one is anything
        raise EngineError(401, f"tensorrt does not load ({first_line(error)})", "pip install tensorrt") from error


@contextlib.contextmanager
def _lazily() -> Generator[None, None, None]:
    """Leave symbols unresolved until they are called: 8.6 names some of cuBLAS and cuDNN that it does without here."""
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
    """Say what an engine is bound to here: TensorRT's version, the GPU's compute capability, the operating system.

    Args:
        device: number of the GPU.

    Raises:
        EngineError: E401, no TensorRT; E402, no usable GPU.
    """
    system = f"{platform.system()}-{platform.machine()}".lower()
    return {"tensorrt": import_tensorrt().__version__, "compute_capability": compute_capability(device), "os": system}


def compute_capability(number: int = 0) -> str:
    """Ask the CUDA driver for the compute capability of a GPU, such as "9.0".

    Raises:
        EngineError: E402, no driver or no GPU. TensorRT itself would crash or say nothing of it.
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
    """Say why an engine made on one machine does not run on another, both as `host_facts` says; None when it does."""
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
    """Give the first line of an error, at most 200 characters; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]

"""Facts that an engine depends on: the library's version, the GPU's compute capability, the operating system."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from typing import Any

from .errors import EngineError, first_line
from .libraries import TENSORRT, Library, library_version
from .logger import library_logger

Facts = dict[str, Any]

_DIAGNOSES = {
    "VERSION_MISMATCH": "made by another version of the library",
    "UNSUPPORTED_CC": "not built for the compute capability of this GPU",
    "OLD_CUDA_DRIVER": "the CUDA driver is too old",
    "OLD_CUDA_RUNTIME": "the CUDA runtime is too old",
    "INSUFFICIENT_GPU_MEMORY": "this GPU has too little memory",
    "MALFORMED_ENGINE": "not an engine of this version of the library, or damaged",
    "CUDA_ERROR": "CUDA failed",
}


def host_facts(device: int | None = 0, library: Library = TENSORRT) -> Facts:
    """Return the library's version, the GPU's compute capability and the operating system of this machine.

    Args:
        device: index of the GPU; None to leave it out.
        library: the library.

    Raises:
        EngineError: E401, the library is missing; E402, no usable GPU.
    """
    system = f"{platform.system()}-{platform.machine()}".lower()
    facts = {"tensorrt": library_version(library.load()), "os": system}
    return facts if device is None else facts | {"compute_capability": compute_capability(device)}


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
    """Return why an engine does not run on a machine; None if it does.

    Args:
        made: facts of the engine.
        here: `host_facts` of the machine.
    """
    if made["os"] != here["os"]:
        return f"built on {made['os']}, this is {here['os']}"
    major = str(made["tensorrt"]).split(".", 1)[0]
    if made.get("version_compatible"):
        if major != str(here["tensorrt"]).split(".", 1)[0] or _numbers(here["tensorrt"]) < _numbers(made["tensorrt"]):
            return f"built for TensorRT {made['tensorrt']} and later {major}.x, this is {here['tensorrt']}"
    elif made["tensorrt"] != here["tensorrt"]:
        return f"built by TensorRT {made['tensorrt']}, this is {here['tensorrt']}"
    if "compute_capabilities" in made:  # built ahead of time: the library itself can tell, see `header_problem`
        return None
    return _gpu_misfit(made, here["compute_capability"])


def _gpu_misfit(made: Facts, ours: str) -> str | None:
    if made.get("hardware") == "ampere+":
        if _numbers(ours) < [8, 0]:
            return f"built for compute capability 8.0 and above, this GPU has {ours}"
    elif made["compute_capability"] != ours:
        return f"built for a GPU of compute capability {made['compute_capability']}, this one has {ours}"
    return None


def header_problem(trt: Any, plan: bytes) -> str | None:
    """Return why the library rejects the header of a plan; None if it does not, or cannot tell.

    Without a GPU, TensorRT for RTX still recognizes plans that are damaged or of another version.

    Args:
        trt: the module of a library.
        plan: the serialized engine.
    """
    runtime = trt.Runtime(library_logger(trt))
    if not hasattr(runtime, "get_engine_validity"):
        return None
    validity, diagnostics = runtime.get_engine_validity(plan)
    if validity != trt.EngineValidity.INVALID:
        return None
    found = [name for name, bit in trt.EngineInvalidityDiagnostics.__members__.items() if int(bit) & diagnostics]
    return ", ".join(_DIAGNOSES.get(name) or str(name) for name in found) or None


def _numbers(version: Any) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", str(version))]

"""Description of the machine, its load and the installed versions."""

import ctypes
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "srblocks",
    "torch",
    "onnx",
    "onnxruntime",
    "openvino",
    "torchsr",
    "spandrel",
    "triton",
    "tensorrt",
    "torch_tensorrt",
)
_MALLOPT = (-3, -1)
"""M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h."""

FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8")


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_memory() -> bool:
    """Make glibc keep freed memory instead of returning it to the system; return whether it does.

    Otherwise activations of tens of MiB may be faulted in again in every run, depending on the memory layout of other
    runs.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    return bool(mallopt) and all(mallopt(limit, 2**30) for limit in _MALLOPT)


def load() -> float:
    """Return the load average of the last minute, which includes this process."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def cpu() -> dict[str, Any]:
    """Return the name of the CPU, its cores and the flags that matter for convolutions."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", "").split()
    return {
        "name": fields.get("model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "flags": [flag for flag in FLAGS if flag in flags],
    }


def gpu() -> dict[str, Any]:
    """Return the GPU, its libraries, and its current clocks, temperature and power."""
    query = "driver_version,clocks.sm,clocks.mem,temperature.gpu,power.draw"
    try:
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        command = ["nvidia-smi", f"--id=GPU-{uuid}", f"--query-gpu={query}", "--format=csv,noheader"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
        state = dict(zip(query.split(","), [value.strip() for value in answer.splitlines()[0].split(",")], strict=True))
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        state = {}
    return {
        "name": torch.cuda.get_device_name(),
        "sm": ".".join(map(str, torch.cuda.get_device_capability())),
        "memory_bytes": torch.cuda.get_device_properties(0).total_memory,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "state": state,
    }


def versions() -> dict[str, str]:
    """Return the versions of the installed packages that matter for measurements."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe(*, threads: int, device: str = "cpu") -> dict[str, Any]:
    """Return machine, load and versions."""
    found = {"cpu": cpu(), "threads": threads, "load": load(), "device": device, "versions": versions()}
    return found | ({"gpu": gpu()} if device == "cuda" else {})


def headline(environment: dict[str, Any]) -> str:
    """Return the environment in one line."""
    processor, found = environment["cpu"], environment["versions"]
    parts = [f"{processor['name']}, {processor['cores']} cores", " ".join(processor["flags"])]
    if "gpu" in environment:
        device = environment["gpu"]
        parts = [device["name"], f"CUDA {device['cuda']}", f"cuDNN {device['cudnn']}", str(device["state"])]
    parts += [f"{environment['threads']} thread(s)", f"load {environment['load']}"]
    parts += [f"{package} {version}" for package, version in found.items()]
    return ", ".join(part for part in parts if part)
